"""Appraise evidence: device identity, enrolment, compute reports and whether they follow from one another."""
