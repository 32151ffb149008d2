"""Mail::DKIM, a verifier in Perl that shares nothing with ours, asking the kit's name server.

[("rsa-sha256", "pass")] == await perl_results(raw, names)
"""

import shutil
import subprocess
from typing import Final

import trio

from tests.kit.names_server import Names

_SCRIPT: Final = r"""
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS;
my ($host, $port) = split /:/, $ARGV[0];
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => [$host], port => $port, recurse => 1));
binmode STDIN;
my $dkim = Mail::DKIM::Verifier->new();
$dkim->load(\*STDIN);
print $_->algorithm, " ", $_->result, "\n" for $dkim->signatures;
"""


def is_here() -> bool:
    """Whether Perl has the module; scripts/peers gets it."""
    perl = shutil.which("perl")
    if perl is None:
        return False
    asked = subprocess.run([perl, "-MMail::DKIM", "-e", "1"], check=False, capture_output=True)
    return asked.returncode == 0


async def perl_results(raw: bytes, names: Names) -> list[tuple[str, str]]:
    """Of each signature its algorithm and what came of it, from the top."""
    command = ["perl", "-e", _SCRIPT, names.address]
    done = await trio.run_process(command, stdin=raw, capture_stdout=True)
    return [(line.split()[0], line.split()[1]) for line in done.stdout.decode().splitlines()]
