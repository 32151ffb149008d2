"""The rules of the Mailio protocol: pure functions and frozen records; no socket, no clock, no disk."""
