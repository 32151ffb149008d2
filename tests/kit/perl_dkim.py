"""Mail::DKIM, a verifier in Perl that shares nothing with ours, asking the kit's name server.

[("rsa-sha256", "pass")] == await perl_results(raw, names)
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import trio

from tests.kit.names_server import Names
from tests.kit.peers import needs

_SCRIPT: Final = r"""
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS;
my ($host, $port) = split /:/, $ARGV[0];
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => [$host], port => $port, recurse => 1));
for my $file (@ARGV[1..$#ARGV]) {
    open(my $letter, "<:raw", $file) or die $!;
    my $dkim = Mail::DKIM::Verifier->new();
    $dkim->load($letter);
    print join(" ", map { $_->algorithm . "=" . $_->result } $dkim->signatures), "\n";
}
"""


def _is_here() -> bool:
    perl = shutil.which("perl")
    if perl is None:
        return False
    asked = subprocess.run([perl, "-MMail::DKIM", "-e", "1"], check=False, capture_output=True)
    return asked.returncode == 0


needs_perl_dkim: Final = needs("" if _is_here() else "there is no Mail::DKIM here (scripts/peers gets it)")


async def perl_results(raw: bytes, names: Names) -> list[tuple[str, str]]:
    """Of each signature its algorithm and what came of it, from the top."""
    (found,) = await perl_results_of([raw], names)
    return found


async def perl_results_of(letters: Sequence[bytes], names: Names) -> list[list[tuple[str, str]]]:
    """The same of many letters."""
    with TemporaryDirectory() as folder:
        files = [Path(folder, str(number)) for number in range(len(letters))]
        for file, raw in zip(files, letters, strict=True):
            file.write_bytes(raw)
        command = ["perl", "-e", _SCRIPT, names.address, *map(str, files)]
        done = await trio.run_process(command, capture_stdout=True)
    lines = done.stdout.decode().splitlines()
    return [[_pair(word) for word in line.split()] for line in lines]


def _pair(word: str) -> tuple[str, str]:
    algorithm, _, result = word.partition("=")
    return algorithm, result
