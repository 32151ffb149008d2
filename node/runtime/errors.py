"""Faults that can be foreseen, worded for the person who meets them. No handling, no printing here.

NodeError                 a fault with a way out (exit 1)
├── UsageError            the caller asked for something that can't be (exit 2)
├── DnsLater              a name could not be looked up now
├── ConfigError           the configuration stops the start (config.py)
├── WorkerError           a job in the worker process failed (worker.py)
│   └── WorkerTimeout     it was ended at its deadline
└── ...                   each room subclasses NodeError in a module of its own
"""


class NodeError(Exception):
    """A foreseeable fault. `code` is for programs (kebab-case), `text` says what is wrong in one
    line, `remedy` says the way out ("" where there is none).
    """

    exit_code = 1

    def __init__(self, code: str, text: str, remedy: str = "") -> None:
        super().__init__(code, text, remedy)
        self.code = code
        self.text = text
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.text} ({self.remedy})" if self.remedy else self.text


class UsageError(NodeError):
    """The command or request itself can't be carried out as asked."""

    exit_code = 2


class DnsLater(NodeError):  # noqa: N818 - what it is called everywhere
    """The name could not be looked up now; it says nothing about whether it is there."""
