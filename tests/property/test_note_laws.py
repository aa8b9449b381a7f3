"""Laws of notes, checkpoints and verifier keys: any input gives a value of one spelling, or a named error."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.errors import EncodingError
from vetonet.tlog.checkpoint import Checkpoint, SignedCheckpoint
from vetonet.tlog.note import LogKey

# Pieces that notes are made of, so that some inputs come close to being one.
PIECES = (
    "example.org/log\n",
    "\n",
    "\n\n",
    "7\n",
    "0\n",
    "— ",
    "a ",
    " ",
    "AAAAAAAA",
    "=",
    "+",
    "x\n",
    "\u2003",
)
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
texts = st.lists(st.sampled_from((*PIECES, ROOT)) | st.text(max_size=3), max_size=12).map("".join)


@given(data=texts.map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_bytes_give_a_signed_checkpoint_or_an_error(data: bytes) -> None:
    try:
        signed = SignedCheckpoint.from_bytes(data)
    except EncodingError:
        return
    assert signed.to_bytes() == data


@given(text=texts | st.builds("log\n{}\n{}{}".format, st.integers(-1, 2**64), st.just(ROOT), texts))
@settings(max_examples=100, deadline=None)
def test_any_text_gives_a_checkpoint_or_an_error(text: str) -> None:
    try:
        checkpoint = Checkpoint.from_text(text)
    except EncodingError:
        return
    assert checkpoint.to_text() == text


@given(vkey=texts | st.from_regex(r"[a-z]\+[0-9a-f]{8}\+A[A-Za-z0-9+/]{43}", fullmatch=True))
@settings(max_examples=100, deadline=None)
def test_any_text_gives_a_verifier_key_or_an_error(vkey: str) -> None:
    try:
        key = LogKey.from_vkey(vkey)
    except EncodingError:
        return
    assert key.to_vkey() == vkey
