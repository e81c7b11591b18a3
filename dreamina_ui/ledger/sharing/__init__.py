"""What several programs with one ledger share besides the jobs: who is alive, who does what, the news."""
