"""Identity: users, workspaces, memberships, API keys, permissions, audit; and the base of every tenant model."""
