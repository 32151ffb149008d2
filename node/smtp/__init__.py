"""Ordinary mail, in and out (protocol.md §5, §6): the two listeners, what they ask, and the sender."""
