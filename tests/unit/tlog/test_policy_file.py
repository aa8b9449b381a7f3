"""Policy files: what C2SP tlog-policy allows is read, and everything else is refused with its line."""

from __future__ import annotations

import pytest

from support.witnessed_log import LOG_KEY, ORIGIN, WITNESSES, make_cosigned, make_log, make_policy
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import ConfigError, WitnessQuorumError
from vetonet.tlog.cosignature import CosignatureType, WitnessKey
from vetonet.tlog.note import LogKey, VerifierKey
from vetonet.tlog.policy import LogPolicy, WitnessGroup, verify_cosigned
from vetonet.tlog.policy_file import MAX_ENTRIES, MAX_POLICY_BYTES, read_policy, write_policy

LOG_LINE = f"log {LOG_KEY.to_vkey()}"
W = [f"witness X{number} {witness.to_vkey()}" for number, witness in enumerate(WITNESSES, start=1)]
HEAD = "\n".join([LOG_LINE, *W]) + "\n"
EXAMPLE = f"""{LOG_LINE} https://log.example/

{W[0]}
{W[1]}\thttps://w2.example/
{W[2]}
group X-witnesses 2 X1 X2 X3

{W[3]}
{W[4]}
group Y-witnesses any X4 X5

# both
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def read(text: str) -> LogPolicy:
    return read_policy(text.encode()).policy


def make_line(number: int) -> str:
    key = generate_ed25519(SeededRng(b"line %d" % number)).public_key
    return f"witness n{number} {WitnessKey.of_ed25519(f'n{number}.example', key).to_vkey()}\n"


def test_the_example_of_the_specification_is_read() -> None:
    file = read_policy(EXAMPLE.encode())
    here = WitnessGroup(threshold=2, members=WITNESSES[:3])
    there = WitnessGroup(threshold=1, members=WITNESSES[3:])
    assert file.policy.quorum == WitnessGroup(threshold=2, members=(here, there))
    assert file.policy.log_keys == (LOG_KEY,)
    assert file.policy.witnesses == WITNESSES
    assert file.urls == {ORIGIN: "https://log.example/", WITNESSES[1].name: "https://w2.example/"}


def test_the_quorum_of_a_file_decides_what_counts() -> None:
    policy, checkpoint = read(EXAMPLE), make_log(7).checkpoint()
    names = [witness.name for witness in WITNESSES]
    verify_cosigned(make_cosigned(checkpoint, names[1:4]), policy)
    with pytest.raises(WitnessQuorumError):
        verify_cosigned(make_cosigned(checkpoint, names[:3]), policy)


def test_whitespace_comments_and_empty_lines_mean_nothing() -> None:
    text = HEAD + "\n \t\n\t # comment with \u00e9 and +\n \tquorum\t \tX2 \t\n"
    assert read(text) == read(HEAD + "quorum X2\n")


def test_a_quorum_of_none_asks_for_no_witness() -> None:
    assert read("quorum none\n") == LogPolicy(log_keys=(), quorum=None)
    assert read(HEAD + "quorum none\n") == LogPolicy(log_keys=(LOG_KEY,), quorum=None, witnesses=WITNESSES)


def test_the_quorum_may_stand_before_lines_that_it_does_not_need() -> None:
    assert read(f"{W[1]}\nquorum X2\n{LOG_LINE}\n{W[0]}\n").witnesses == (WITNESSES[1], WITNESSES[0])


def test_names_are_octets_that_nobody_normalises() -> None:
    """The Kelvin sign is not the letter K, and what is not UTF-8 is a name all the same."""
    first, second = (witness.to_vkey() for witness in WITNESSES[:2])
    text = f"witness K {first}\nwitness \u212a {second}\nquorum \u212a\n"
    assert read(text).quorum == WITNESSES[1]
    raw = f"witness @ {first}\nwitness @@ {second}\nquorum @@\n".encode().replace(b"@", b"\xff")
    assert read_policy(raw).policy.quorum == WITNESSES[1]
    with pytest.raises(ConfigError, match=r"line 2 .* '\\udcff' is taken"):
        read_policy(f"witness @ {first}\nwitness @ {second}\n".encode().replace(b"@", b"\xff"))


def test_a_comment_or_url_may_hold_any_octet_above_ascii() -> None:
    data = HEAD.encode() + b"# \x80\xff\nwitness-less\n"
    with pytest.raises(ConfigError, match="line 8 of the policy: expected log, witness"):
        read_policy(data)
    assert read_policy(HEAD.encode() + b"# \x80\xff\xc2\x85\nquorum none\n").policy.quorum is None


def test_a_witness_may_sign_with_ml_dsa() -> None:
    vkey = VerifierKey(name="pq", key_type=6, material=bytes(1312)).to_text()
    (witness,) = read(f"witness pq {vkey}\nquorum pq\n").witnesses
    assert witness.cosignature_type is CosignatureType.ML_DSA_44


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected a policy with a quorum line"),
        (HEAD, "expected a policy with a quorum line"),
        ("quorum none", "ends in a newline"),
        ("quorum none\r\n", "line 1 .*no control characters"),
        ("quorum\x0bnone\n", "line 1 .*no control characters"),
        ("quorum none\x00\n", "line 1 .*no control characters"),
        ("# \x7f\nquorum none\n", "line 1 .*no control characters"),
        ("quorum none\nquorum none\n", "line 2 .*stated twice"),
        ("quorum\n", "line 1 .*expected 1 to 1 words"),
        ("quorum none none\n", "line 1 .*expected 1 to 1 words"),
        ("quorum\u00a0none\n", "line 1 .*expected log, witness, group or quorum"),
        ("quorum X1\n" + HEAD, "line 1 .*no witness or group 'X1' on a line before"),
        ("Quorum none\n", "line 1 .*expected log, witness, group or quorum, got 'Quorum'"),
        ("log\nquorum none\n", "line 1 .*expected 1 to 2 words"),
        (f"{LOG_LINE} a b\nquorum none\n", "line 1 .*expected 1 to 2 words"),
        (f"{LOG_LINE}\n{LOG_LINE} url\nquorum none\n", "line 2 .*stands on a line before"),
        (f"log {WITNESSES[0].to_vkey()}\nquorum none\n", "line 1 .*type 1"),
        ("log x\nquorum none\n", "line 1 .*verifier key"),
        (f"{W[0]} a b\nquorum none\n", "line 1 .*expected 2 to 3 words"),
        (f"witness {WITNESSES[0].to_vkey()}\nquorum none\n", "line 1 .*expected 2 to 3 words"),
        (f"witness w {LOG_KEY.to_vkey()}\nquorum none\n", "line 1 .*type 4 or 6"),
        (f"witness none {WITNESSES[0].to_vkey()}\nquorum none\n", "line 1 .*'none' is taken"),
        (f"{W[0]}\nwitness X1 {WITNESSES[1].to_vkey()}\n", "line 2 .*'X1' is taken"),
        (f"{W[0]}\nwitness Z {WITNESSES[0].to_vkey()}\n", "line 2 .*stands on a line before"),
        (HEAD + "group X1 all X2\nquorum none\n", "line 7 .*'X1' is taken"),
        (HEAD + "group none all X2\nquorum none\n", "line 7 .*'none' is taken"),
        (HEAD + "group g all\nquorum none\n", "line 7 .*words after the first, got 2"),
        (HEAD + "group g all none\nquorum none\n", "line 7 .*no witness or group 'none'"),
        (HEAD + "group g all g\nquorum none\n", "line 7 .*no witness or group 'g'"),
        (HEAD + "group g all X1 X1\nquorum none\n", "line 7 .*'X1' is a member of a group already"),
        (HEAD + "group g all X1\ngroup h any X1 X2\nquorum h\n", "line 8 .*member of a group already"),
        (HEAD + "group g 0 X1\nquorum g\n", "line 7 .*number of 1 to 1, got '0'"),
        (HEAD + "group g 3 X1 X2\nquorum g\n", "line 7 .*number of 1 to 2, got '3'"),
        (HEAD + "group g 01 X1 X2\nquorum g\n", "line 7 .*got '01'"),
        (HEAD + "group g +1 X1 X2\nquorum g\n", "line 7 .*number of 1 to 2"),
        (HEAD + "group g -1 X1 X2\nquorum g\n", "line 7 .*number of 1 to 2"),
        (HEAD + "group g \u0661 X1 X2\nquorum g\n", "line 7 .*number of 1 to 2"),
        (HEAD + "group g Any X1 X2\nquorum g\n", "line 7 .*number of 1 to 2"),
        (HEAD + f"group g {'9' * 5000} X1\nquorum g\n", "line 7 .*number of 1 to 1"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        read(text)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isascii()


def test_one_key_under_two_names_is_one_key() -> None:
    alias = WitnessKey.of_ed25519("alias.example", generate_ed25519(SeededRng(b"w1.example")).public_key)
    with pytest.raises(ConfigError, match=r"line 2 .*if under another name"):
        read(f"{W[0]}\nwitness other {alias.to_vkey()}\nquorum X1\n")
    log_alias = LogKey(name="alias.example", public_key=LOG_KEY.public_key)
    with pytest.raises(ConfigError, match=r"line 2 .*if under another name"):
        read(f"{LOG_LINE}\nlog {log_alias.to_vkey()}\nquorum none\n")


def test_a_policy_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(ConfigError, match="at most"):
        read_policy(b"#" * MAX_POLICY_BYTES + b"\n")
    assert read_policy(b"quorum none\n" + b"#" * (MAX_POLICY_BYTES - 13) + b"\n").urls == {}


def test_the_largest_policy_is_read_and_one_line_more_refused() -> None:
    lines = [make_line(number) for number in range(MAX_ENTRIES + 1)]
    names = " ".join(f"n{number}" for number in range(MAX_ENTRIES))
    text = "".join(lines[:-1]) + f"group all-of-them {MAX_ENTRIES} {names}\nquorum all-of-them\n"
    assert len(read(text).witnesses) == MAX_ENTRIES
    with pytest.raises(ConfigError, match=r"line 129 .*at most 128 lines of one kind"):
        read("".join(lines) + "quorum none\n")


def test_groups_nest_as_deep_as_there_may_be_groups() -> None:
    chain = "".join(f"group g{depth} all g{depth - 1}\n" for depth in range(1, MAX_ENTRIES))
    text = f"{W[0]}\ngroup g0 all X1\n{chain}"
    last = MAX_ENTRIES - 1
    policy = read(f"{text}quorum g{last}\n{LOG_LINE}\n")
    checkpoint = make_log(7).checkpoint()
    verify_cosigned(make_cosigned(checkpoint, (WITNESSES[0].name,)), policy)
    with pytest.raises(WitnessQuorumError):
        verify_cosigned(make_cosigned(checkpoint), policy)
    with pytest.raises(ConfigError, match="at most 128 lines of one kind"):
        read(f"{text}group g{last + 1} all g{last}\nquorum none\n")


@pytest.mark.parametrize(
    "policy",
    [
        make_policy(3),
        LogPolicy.unwitnessed(LOG_KEY),
        LogPolicy(log_keys=(LOG_KEY,), quorum=WITNESSES[1], witnesses=WITNESSES),
        LogPolicy(log_keys=(), quorum=WitnessGroup(threshold=1, members=WITNESSES[:2]), witnesses=WITNESSES),
    ],
)
def test_a_flat_policy_is_read_back(policy: LogPolicy) -> None:
    urls = {ORIGIN: "https://log.example/", WITNESSES[2].name: "https://w3.example/x"}
    file = read_policy(write_policy(policy, urls=urls))
    assert file.policy == policy
    known = {key.name for key in policy.log_keys} | {witness.name for witness in policy.witnesses}
    assert file.urls == {name: url for name, url in urls.items() if name in known}


def test_a_policy_of_groups_is_not_written() -> None:
    nested = WitnessGroup(threshold=1, members=(WitnessGroup(threshold=1, members=WITNESSES),))
    with pytest.raises(ConfigError, match="got one of groups"):
        write_policy(LogPolicy(log_keys=(LOG_KEY,), quorum=nested))


@pytest.mark.parametrize("url", ["", "two words", "a\nquorum none", "a\tb", " a", "\ud800"])
def test_a_url_that_would_break_its_line_is_not_written(url: str) -> None:
    with pytest.raises(ConfigError, match="expected URLs"):
        write_policy(make_policy(3), urls={ORIGIN: url})
