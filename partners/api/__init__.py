"""Partners and payees over HTTP."""
