"""Files written whole, and what each of them holds."""
