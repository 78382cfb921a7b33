"""Made-up towns with known truth, the plain rules to beat, and the score that compares."""
