"""The Faust agents: each takes runs of one or more topics and hands them to the work they are for."""
