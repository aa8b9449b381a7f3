"""Polynomials over the scalars, in the clear and in the exponent (RFC 9591, 4.2 and appendix C)."""

from __future__ import annotations

from collections.abc import Sequence

from vetonet.crypto.frost.group import ORDER, Element, Scalar, multiply, sum_elements


def evaluate(coefficients: Sequence[Scalar], x: int) -> Scalar:
    """Return the polynomial's value at ``x``, constant term first (polynomial_evaluate, C.1.1)."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % ORDER
    return Scalar(value)


def evaluate_commitment(vss_commitment: Sequence[Element], x: int) -> Element:
    """Return the generator times the committed polynomial's value at ``x`` (vss_verify, C.2).

    Horner's rule: one multiplication a coefficient, where powers of ``x`` would cost as many and an
    inversion of order.

    Raises:
        ProtocolError: the coefficients cancel out to the identity.
    """
    value = vss_commitment[-1]
    for coefficient in reversed(vss_commitment[:-1]):
        value = sum_elements((multiply(x, value), coefficient))
    return value


def compute_lagrange_coefficient(identifiers: Sequence[int], identifier: int, x: int = 0) -> Scalar:
    """Return the weight of one identifier when interpolating at ``x``.

    At zero, where the group's secret is, it is RFC 9591's derive_interpolating_value (4.2).

    Raises:
        ValueError: the identifier is not among them, one is there twice, or ``x`` is one of them, where
            there is nothing to interpolate.
    """
    if len(set(identifiers)) != len(identifiers) or identifier not in identifiers:
        raise ValueError("interpolation needs distinct identifiers, the asked one among them")
    if x in identifiers:
        raise ValueError("the value at an identifier is its share, which needs no interpolation")
    numerator, denominator = 1, 1
    for other in identifiers:
        if other != identifier:
            numerator = numerator * (other - x) % ORDER
            denominator = denominator * (other - identifier) % ORDER
    return Scalar(numerator * pow(denominator, -1, ORDER) % ORDER)
