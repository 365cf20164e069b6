"""Partners, the payees they are paid through, and what is known about them."""
