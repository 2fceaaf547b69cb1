"""Approvals.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from typing import Any

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import Approval, DecisionKind, Remember


class ApprovalsResource(SyncResource):
    """Approvals. A method for each operation."""

    def list(
        self,
        *,
        status: str | None = None,
        run: str | None = None,
        thread: str | None = None,
        user: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> Listing[Approval]:
        """Lists what people are asked, and were.

        Args:
            status: `pending`, `approved`, `denied`, `cancelled`, `expired`, or several with commas.
            run: Of this run.
            thread: Of this thread.
            user: Of this user: an id or an `external_id`. For a tenant's key.
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Approval, _call("GET", ("approvals",), query={"status": status, "run": run, "thread": thread,
            "user": user, "limit": limit, "after": after, "order": order}, timeout=timeout))

    def get(
        self,
        approval: str,
        *,
        timeout: float | None = None,
    ) -> Approval:
        """One question, and what was decided.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Approval, _call("GET", ("approvals", approval), timeout=timeout))

    def decide(
        self,
        run: str,
        approval: str,
        *,
        decision: DecisionKind,
        comment: str | None | Omit = OMIT,
        edited_args: Any | Omit = OMIT,
        output: Any | Omit = OMIT,
        remember: Remember | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Approval:
        """Decides. The same decision may be sent again; the first one stands. The run goes on, at whatever process.

        Args:
            decision: What.
            comment: For the record, and with `denied` for the model; at most 4096 characters.
            edited_args: With `approved`: arguments to call it with instead. They have to satisfy the approval's
                `schema`.
            output: Of an unknown outcome, with `denied`: what is known to have happened.
            remember: For what it holds; `thread` only with `approved`, unedited. `null` = `call`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Approval, _call("POST", ("runs", run, "approvals", approval), body={"comment": comment,
            "decision": decision, "edited_args": edited_args, "output": output, "remember": remember},
            idempotency_key=idempotency_key, timeout=timeout))


class AsyncApprovalsResource(AsyncResource):
    """Approvals. A method for each operation."""

    def list(
        self,
        *,
        status: str | None = None,
        run: str | None = None,
        thread: str | None = None,
        user: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Approval]:
        """Lists what people are asked, and were.

        Args:
            status: `pending`, `approved`, `denied`, `cancelled`, `expired`, or several with commas.
            run: Of this run.
            thread: Of this thread.
            user: Of this user: an id or an `external_id`. For a tenant's key.
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Approval, _call("GET", ("approvals",), query={"status": status, "run": run, "thread": thread,
            "user": user, "limit": limit, "after": after, "order": order}, timeout=timeout))

    async def get(
        self,
        approval: str,
        *,
        timeout: float | None = None,
    ) -> Approval:
        """One question, and what was decided.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Approval, _call("GET", ("approvals", approval), timeout=timeout))

    async def decide(
        self,
        run: str,
        approval: str,
        *,
        decision: DecisionKind,
        comment: str | None | Omit = OMIT,
        edited_args: Any | Omit = OMIT,
        output: Any | Omit = OMIT,
        remember: Remember | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Approval:
        """Decides. The same decision may be sent again; the first one stands. The run goes on, at whatever process.

        Args:
            decision: What.
            comment: For the record, and with `denied` for the model; at most 4096 characters.
            edited_args: With `approved`: arguments to call it with instead. They have to satisfy the approval's
                `schema`.
            output: Of an unknown outcome, with `denied`: what is known to have happened.
            remember: For what it holds; `thread` only with `approved`, unedited. `null` = `call`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Approval, _call("POST", ("runs", run, "approvals", approval), body={"comment":
            comment, "decision": decision, "edited_args": edited_args, "output": output, "remember": remember},
            idempotency_key=idempotency_key, timeout=timeout))
