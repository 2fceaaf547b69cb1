"""The rules of the SDK, without any I/O.

Both clients are driven by what is here: when a call is tried again (`retry`, `calls`), how frames are read (`sse`),
what a frame and the end of a connection mean (`tracker`), and how a stream goes on over many connections (`streams`).

Never touches a socket, a clock or a source of randomness by itself: time and chance are given to it.
"""
