"""The fold: what a stream tells, as what a user interface shows.

`fold(view, item)` is pure. Any stream may be folded, from any cursor: what was not seen is left out, and comes whole
with the next event that says it again.
"""

from .fold import fold, fold_event
from .snapshot import message_views, view_of
from .text import TextFollower
from .view import (
    ApprovalView,
    ArtifactView,
    CallView,
    FileView,
    MessageView,
    PartView,
    ReasoningView,
    RunView,
    TextView,
)

__all__ = [
    "ApprovalView",
    "ArtifactView",
    "CallView",
    "FileView",
    "MessageView",
    "PartView",
    "ReasoningView",
    "RunView",
    "TextFollower",
    "TextView",
    "fold",
    "fold_event",
    "message_views",
    "view_of",
]
