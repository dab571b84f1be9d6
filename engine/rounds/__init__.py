"""Rounds: stage, collect, retrain, evaluate, promote or keep; the ledger is the only state."""
