"""A CoRIM (draft-ietf-rats-corim) that says one thing: which components one firmware of one model is made of.

The subset: a tagged unsigned CoRIM with one CoMID, whose one reference triple names vendor and model of the
environment and gives, for each component, its version, its svn and its SHA-256. It has one spelling; whatever
else a CoRIM can hold is refused. Our own statement around it carries the maker's signature (VN-17.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vetonet.attestation.firmware import MAX_COMPONENTS, MAX_SVN, Firmware, FirmwareComponent
from vetonet.attestation.report import MAX_MODEL_BYTES
from vetonet.encoding import cbor
from vetonet.encoding.record import DIGEST, Codec, Record, many, member, record, tstr, uint
from vetonet.errors import EncodingError

MAX_CORIM_BYTES: Final = 4096
MAX_NUMBER: Final = 2**32

_CORIM_TAG: Final = 501  # an unsigned CoRIM
_COMID_TAG: Final = 506  # a CoMID, as a byte string
_SVN_TAG: Final = 552  # exactly this svn; 553, at least this one, is refused: digests name one version
_TAGS: Final = frozenset({_CORIM_TAG, _COMID_TAG, _SVN_TAG})
_SHA256: Final = 1  # of the named-information hash registry
_ID: Final = tstr(128)


def _read_digest(item: cbor.Item) -> bytes:
    if type(item) is not list or len(item) != 2 or type(item[0]) is not int or item[0] != _SHA256:  # noqa: PLR2004  (a pair)
        raise EncodingError("expected a digest as [1, 32 bytes]: SHA-256 is the only hash function")
    return DIGEST.from_item(item[1])


_DIGEST_PAIR: Final[Codec[bytes]] = Codec(lambda value: [_SHA256, DIGEST.to_item(value)], _read_digest)


_NATURAL: Final = uint(MAX_SVN)
_SVN: Final[Codec[int]] = Codec(
    lambda value: cbor.Tagged(_SVN_TAG, _NATURAL.to_item(value)),
    lambda item: _NATURAL.from_item(_untag(item, _SVN_TAG)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionMap(Record):
    """A version for people (``version-map``)."""

    version: str = member(0, tstr(32))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementValues(Record):
    """What one component measures (``measurement-values-map``)."""

    version: VersionMap = member(0, record(VersionMap))
    svn: int = member(1, _SVN)
    digests: tuple[bytes, ...] = member(2, many(_DIGEST_PAIR, minimum=1, maximum=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement(Record):
    """One component (``measurement-map``); its key is the component's name."""

    mkey: str = member(0, tstr(32))
    mval: MeasurementValues = member(1, record(MeasurementValues))

    @classmethod
    def of(cls, component: FirmwareComponent) -> Measurement:
        """Return the measurement of a component."""
        version, digests = VersionMap(version=component.version), (component.digest,)
        return cls(
            mkey=component.name, mval=MeasurementValues(version=version, svn=component.svn, digests=digests)
        )

    def to_component(self) -> FirmwareComponent:
        """Return the component that is measured."""
        values = self.mval
        return FirmwareComponent(
            name=self.mkey, digest=values.digests[0], svn=values.svn, version=values.version.version
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMap(Record):
    """A class of machines (``class-map``): vendor and model."""

    vendor: str = member(1, tstr(64))
    model: str = member(2, tstr(MAX_MODEL_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment(Record):
    """What a measurement is about (``environment-map``): any machine of a class."""

    of_class: ClassMap = member(0, record(ClassMap))


_ENVIRONMENT: Final = record(Environment)
_MEASUREMENTS: Final = many(record(Measurement), minimum=1, maximum=MAX_COMPONENTS)

_Triple = tuple[Environment, tuple[Measurement, ...]]


def _read_triple(item: cbor.Item) -> _Triple:
    if type(item) is not list or len(item) != 2:  # noqa: PLR2004  (a pair)
        raise EncodingError("expected a reference triple as [environment, measurements]")
    return _ENVIRONMENT.from_item(item[0]), _MEASUREMENTS.from_item(item[1])


_TRIPLE: Final[Codec[_Triple]] = Codec(
    lambda value: [_ENVIRONMENT.to_item(value[0]), _MEASUREMENTS.to_item(value[1])], _read_triple
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Triples(Record):
    """What a CoMID says (``triples-map``): one reference triple."""

    reference: tuple[_Triple, ...] = member(0, many(_TRIPLE, minimum=1, maximum=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class TagIdentity(Record):
    """Which tag it is (``tag-identity-map``), and which version of it."""

    tag_id: str = member(0, _ID)
    tag_version: int = member(1, uint(MAX_NUMBER))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConciseMid(Record):
    """A CoMID (``concise-mid-tag``)."""

    identity: TagIdentity = member(1, record(TagIdentity))
    triples: Triples = member(4, record(Triples))


@dataclass(frozen=True, slots=True, kw_only=True)
class Corim:
    """Reference values: the firmware that machines of one model may run.

    Attributes:
        vendor, model: the class of machines.
        number: of this firmware among the model's, from 1.
        firmware: its components.
    """

    vendor: str
    model: str
    number: int
    firmware: Firmware

    @property
    def corim_id(self) -> str:
        """Its name, which follows from what it is about."""
        return f"{self.vendor}/{self.model}"[:100]

    def to_bytes(self) -> bytes:
        """Return the one spelling.

        Raises:
            EncodingError: a name is empty, too long or not printable.
        """
        measurements = tuple(Measurement.of(component) for component in self.firmware.components)
        environment = Environment(of_class=ClassMap(vendor=self.vendor, model=self.model))
        comid = ConciseMid(
            identity=TagIdentity(tag_id=self.corim_id, tag_version=self.number),
            triples=Triples(reference=((environment, measurements),)),
        )
        content = cbor.Tagged(_COMID_TAG, cbor.to_tagged_bytes(comid.to_item()))
        corim = {0: _ID.to_item(self.corim_id), 1: [content]}
        data = cbor.to_tagged_bytes(cbor.Tagged(_CORIM_TAG, corim))
        if len(data) > MAX_CORIM_BYTES:
            raise EncodingError(
                f"a CoRIM of {len(data)} bytes, more than the {MAX_CORIM_BYTES} anyone accepts"
            )
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> Corim:
        """Return what untrusted bytes say.

        Raises:
            EncodingError: oversize, no CoRIM of this subset, or not in its one spelling.
        """
        comid = ConciseMid.from_item(_read(_read_content(data)))
        ((environment, measurements),) = comid.triples.reference
        found = cls(
            vendor=environment.of_class.vendor,
            model=environment.of_class.model,
            number=comid.identity.tag_version,
            firmware=_build_firmware(measurements),
        )
        # What follows from the content can stand in one way only, so this settles the names around it too.
        if found.to_bytes() != data:
            raise EncodingError("not the one spelling of these reference values")
        return found


def _read_content(data: bytes) -> bytes:
    """Return the bytes of the one CoMID that a CoRIM holds."""
    corim = _untag(_read(data), _CORIM_TAG)
    if type(corim) is not dict or list(corim) != [0, 1] or type(corim[1]) is not list or len(corim[1]) != 1:
        raise EncodingError("expected a corim-map with an id and one tag")
    content = _untag(corim[1][0], _COMID_TAG)
    if type(content) is not bytes:
        raise EncodingError("expected a CoMID inside a byte string")
    return content


def _read(data: bytes) -> cbor.Item:
    return cbor.from_tagged_bytes(data, max_bytes=MAX_CORIM_BYTES, tags=_TAGS)


def _untag(item: cbor.Item, number: int) -> cbor.Item:
    if not isinstance(item, cbor.Tagged) or item.number != number:
        raise EncodingError(f"expected the CBOR tag {number}")
    return item.content


def _build_firmware(measurements: tuple[Measurement, ...]) -> Firmware:
    try:
        return Firmware(components=tuple(measurement.to_component() for measurement in measurements))
    except ValueError as error:
        raise EncodingError(f"reference values: {error}") from error
