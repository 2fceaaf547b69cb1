"""A stream over as many connections as it takes.

Holds one connection or one pause at a time, and no queue: a caller that does not read slows only itself.
"""

from __future__ import annotations

from ..errors import CredentialEndedError, DecodeError, EdgeError, TimedOutError, TransportError
from .calls import Call, Failure, Settings, call, head
from .commands import Close, Emit, Flow, Head, Read, RenewToken, Sleep, Token
from .retry import FINAL, RETRY, Next
from .sse import Decoder
from .tracker import End, Leave, Tracker, Why, Yield, cut, run_of_location


def follow(settings: Settings, tracker: Tracker, create: Call | None) -> Flow[None]:
    """Emits a run's items until it is over.

    `create` makes the run; it is repeated, the same request each time, until the run is known.
    """
    tracker.begin()
    renewed = False
    wait, stale = 0.0, None
    while not tracker.over:
        if wait > 0:
            yield Sleep(wait)
        wait = 0.0
        if stale is not None:
            yield RenewToken(stale)
            stale = None
        try:
            answer, token = yield from head(settings, _target(tracker, create), streams=True)
            if answer.status == 204:
                tracker.over = True
                yield Close()
                return
            yield from _check(answer, token)
        except Failure as caught:
            failure = caught
        else:
            renewed = False
            tracker.connected(run_of_location(answer.headers.get("location")), _compacted(answer))
            begun = settings.clock()
            heard, leave = yield from _connection(settings, tracker, begun)
            yield Close()
            if leave is None:
                return
            if leave.why is Why.AUTH:
                if token is None or not token.renewable:
                    raise CredentialEndedError()
                stale = token
            wait = tracker.on_leave(leave, heard - begun, settings.chance())
            continue
        if failure.verdict.next is Next.RETRY:
            leave = Leave(Why.BROKEN, failure.error, failure.verdict.asked)
            wait = tracker.on_leave(leave, 0.0, settings.chance())
        elif failure.verdict.next is Next.RENEW and not renewed and failure.token and failure.token.renewable:
            renewed, stale = True, failure.token
        else:
            raise failure.error


def _target(tracker: Tracker, create: Call | None) -> Call:
    if tracker.run is None:
        assert create is not None, "a stream without a call to make its run is made with one"
        return create.to_stream(None)
    cursor = tracker.cursor
    query = {"after": "now"} if cursor == "now" else None
    last_event_id = cursor if isinstance(cursor, int) and cursor > 0 else None
    return call("GET", ("runs", tracker.run, "events"), query=query).to_stream(last_event_id)


def _check(answer: Head, token: Token | None) -> Flow[None]:
    """Raises `Failure` for an answer that is no stream."""
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        return
    yield Close()
    if "request-id" in answer.headers:
        raise Failure(DecodeError("the stream", "its content type is not text/event-stream"), FINAL, token)
    # A cold start's page with a status of success.
    raise Failure(EdgeError(answer.status), RETRY, token)


def _compacted(answer: Head) -> bool:
    return answer.headers.get("headwater-log") == "compacted"


def _connection(settings: Settings, tracker: Tracker, begun: float) -> Flow[tuple[float, Leave | None]]:
    """Reads one connection: when it was last heard of, and why it ended. Without a reason the run is over."""
    decoder, heard = Decoder(), begun
    while True:
        try:
            chunk = yield Read(tracker.idle)
        except TimedOutError:
            return heard, Leave(Why.BROKEN, TimedOutError("an event or a heartbeat"))
        except TransportError as error:
            leave = Leave(Why.BROKEN, error)
        else:
            leave = Leave(Why.EOF, cut())
            if chunk is not None:
                assert isinstance(chunk, bytes)
                heard = settings.clock()
                tracker.stats.bytes += len(chunk)
                for frame in decoder.feed(chunk):
                    match tracker.on_frame(frame):
                        case Yield(item, last):
                            if last:
                                yield Close()
                            yield Emit(item)
                            if last:
                                return heard, None
                        case Leave() as leave:
                            return heard, leave
                        case End.END:
                            return heard, None
                        case None:
                            pass
                continue
        asked = decoder.finish()
        if asked is not None:
            tracker.on_retry(asked, False)
        return heard, leave
