import contextlib
import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.runtime.config import KEYS, MAX_FILE, Config, ConfigError, describe, from_file, kind_of, load
from node.runtime.config_edit import set_value, unset_value
from node.runtime.errors import UsageError
from node.runtime.sections import LogConfig, NetworkConfig

PEER = "/dns4/example.org/tcp/4101/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


def write(home: Path, text: str) -> None:
    (home / "config.toml").write_text(text, encoding="utf-8")


def refusal(home: Path, text: str) -> str:
    write(home, text)
    with pytest.raises(ConfigError) as error:
        load(home, {})
    return str(error.value)


def test_without_a_file_everything_is_at_its_default(tmp_path: Path) -> None:
    config = load(tmp_path, {"MAILIO_HOME": "/x", "PATH": "/bin"})
    assert config == Config()
    assert {described.source for described in describe(config).values()} == {"default"}


def test_every_setting_has_help_and_a_default_that_it_takes() -> None:
    for key, described in describe(Config()).items():
        assert described.help.endswith("."), key
        if described.default is not None:
            kind_of(key).read(described.default)


def test_the_file_and_then_the_environment_win(tmp_path: Path) -> None:
    write(tmp_path, '[network]\nlisten = ["/ip4/127.0.0.1/tcp/0"]\n[log]\nlevel = "debug"\n')
    config = load(tmp_path, {"MAILIO_LOG_LEVEL": "error", "MAILIO_NETWORK_BOOTSTRAP": f"{PEER}, {PEER}"})
    assert config.network == NetworkConfig(listen=("/ip4/127.0.0.1/tcp/0",), bootstrap=(PEER, PEER))
    assert config.log == LogConfig(level="error")
    assert config.sources == {
        "network.listen": f"{tmp_path}/config.toml:2",
        "network.bootstrap": "environment MAILIO_NETWORK_BOOTSTRAP",
        "log.level": "environment MAILIO_LOG_LEVEL",
    }
    assert describe(config)["network.listen"].value == ["/ip4/127.0.0.1/tcp/0"]


def test_an_empty_variable_is_an_empty_list(tmp_path: Path) -> None:
    assert load(tmp_path, {"MAILIO_NETWORK_BOOTSTRAP": ""}).network.bootstrap == ()


@pytest.mark.parametrize(
    ("text", "size"), [("500 MB", 500_000_000), ("500000000", 500_000_000), ("512MiB", 536_870_912)]
)
def test_sizes_in_words(tmp_path: Path, text: str, size: int) -> None:
    assert load(tmp_path, {"MAILIO_LIMITS_HANDSHAKE_BYTES": text}).limits.handshake_bytes == size
    write(tmp_path, f'limits.handshake_bytes = "{text}"')
    assert load(tmp_path, {}).limits.handshake_bytes == size


def test_an_unknown_key_is_named_with_its_line(tmp_path: Path) -> None:
    text = "# mine\n[network]\n\nlisten = []\nlisen = []\n"
    expected = f"{tmp_path}/config.toml:5: network.lisen is not a setting (did you mean network.listen?)"
    assert refusal(tmp_path, text) == expected
    text = 'x = 1\n[log]\nlevel = "info"\n'
    assert refusal(tmp_path, text).startswith(f"{tmp_path}/config.toml:1: x is not a setting")


def test_a_bad_value_is_named_with_its_line_and_what_is_right(tmp_path: Path) -> None:
    assert refusal(tmp_path, '[limits]\nprice = 6\n\n[log]\n"level" = "loud"\n') == (
        f'{tmp_path}/config.toml:5: log.level: "loud" is unknown '
        "(it takes one of debug, info, warning, error)"
    )
    assert refusal(tmp_path, "limits.price = 13") == (
        f"{tmp_path}/config.toml:1: limits.price: 13 is out of range (it takes a whole number from 1 to 12)"
    )


@pytest.mark.parametrize(
    "text",
    [
        "network.listen = '/ip4/127.0.0.1/tcp/1'",
        "network.listen = ['/ip4/127.0.0.1/udp/1']",
        "network.listen = ['/ip4/::1/tcp/1']",
        "network.listen = ['/ip4/127.0.0.1/tcp/65536']",
        "network.listen = ['/ip4/127.0.0.1/tcp/٣']",
        "network.listen = [1]",
        "network.bootstrap = ['/ip4/127.0.0.1/tcp/4101']",
        f"network.bootstrap = ['{PEER.replace('4101', '0')}']",
        "limits.price = true",
        "limits.price = 6.0",
        "limits.price = 1979-05-27",
        "limits.letter_size = '2 MB'",
        "limits.letter_size = 'many'",
        "log.level = 3",
        "log = 3",
        "[[log]]",
        "log.level.deep = 3",
    ],
)
def test_a_bad_value_stops_the_start(tmp_path: Path, text: str) -> None:
    assert f"{tmp_path}/config.toml:1: " in refusal(tmp_path, text)


def test_broken_syntax_tells_the_line(tmp_path: Path) -> None:
    assert "line 2" in refusal(tmp_path, "[log]\nlevel = \n")
    assert "nested too deeply" in refusal(tmp_path, "x = " + "[" * 100_000)
    assert "is larger than" in refusal(tmp_path, "#" * (MAX_FILE + 1))
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path, {})


def test_a_misspelt_variable_of_ours_is_not_ignored(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"environment MAILIO_LOG_LEVLE: log\.levle is not a setting"):
        load(tmp_path, {"MAILIO_LOG_LEVLE": "debug"})


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


TOML_ISH = st.lists(
    st.one_of(
        st.text(),
        st.sampled_from(
            [*KEYS, "[", "]", "=", '"', "'''", "\n", "[network]", "{", "}", ",", "9" * 5000, "."]
        ),
    )
).map("".join)


@given(st.one_of(st.binary(), TOML_ISH.map(lambda text: text.encode("utf-8", "replace"))))
def test_any_file_is_read_or_refused(scratch: Path, data: bytes) -> None:
    (scratch / "config.toml").write_bytes(data)
    with contextlib.suppress(ConfigError):
        load(scratch, {})


@given(st.sampled_from(sorted(KEYS)), st.text())
def test_any_text_for_a_setting_is_taken_or_refused(scratch: Path, key: str, text: str) -> None:
    (scratch / "config.toml").unlink(missing_ok=True)
    try:
        set_value(scratch, key, text)
    except UsageError:
        assert not (scratch / "config.toml").exists()
    else:
        load(scratch, {})


def test_setting_keeps_comments_and_everything_else(tmp_path: Path) -> None:
    write(tmp_path, "# my node\n[log]\nlevel = 'info' # as usual\n")
    set_value(tmp_path, "log.level", "debug")
    set_value(tmp_path, "network.listen", "/ip4/127.0.0.1/tcp/0,/ip6/::1/tcp/0")
    set_value(tmp_path, "limits.price", "7")
    text = (tmp_path / "config.toml").read_text()
    assert text.startswith("# my node\n[log]\n")
    assert "# as usual" in text
    config = load(tmp_path, {})
    assert (config.log.level, config.limits.price) == ("debug", 7)
    assert config.network.listen == ("/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0")


def test_unsetting_brings_the_default_back(tmp_path: Path) -> None:
    write(tmp_path, "[log]\n# loud\nlevel = 'debug'\n")
    assert unset_value(tmp_path, "log.level") is True
    assert unset_value(tmp_path, "log.level") is False
    assert unset_value(tmp_path, "network.listen") is False
    assert load(tmp_path, {}) == Config()
    assert "# loud" in (tmp_path / "config.toml").read_text()


def test_editing_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"did you mean log\.level"):
        set_value(tmp_path, "log.levl", "info")
    with pytest.raises(UsageError, match="it takes one of"):
        set_value(tmp_path, "log.level", "loud")
    write(tmp_path, "log = 3")
    with pytest.raises(ConfigError, match="log is not a section"):
        set_value(tmp_path, "log.level", "info")
    write(tmp_path, "[log")
    with pytest.raises(ConfigError):
        unset_value(tmp_path, "log.level")


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    set_value(tmp_path, "limits.free_disk", "1 GB")
    assert tomllib.loads((tmp_path / "config.toml").read_text()) == {"limits": {"free_disk": "1 GB"}}
    assert [(key, raw) for key, raw, _ in from_file(tmp_path / "config.toml")] == [
        ("limits.free_disk", "1 GB")
    ]


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.toml")
    with pytest.raises(ConfigError, match="is no file"):
        load(tmp_path, {})
