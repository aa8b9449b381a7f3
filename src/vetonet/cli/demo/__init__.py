"""The main job end to end: a council, a real run, two vetoes, two cheats and one dishonest coordinator."""
