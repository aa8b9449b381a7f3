"""Treaty, roster, bands and quorum; proposals, ballots, licences; and the rule that decides."""
