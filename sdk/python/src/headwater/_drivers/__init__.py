"""The two drivers: the only places where the SDK blocks, awaits, sleeps or opens a socket."""
