"""Plans of promotions of items from one tenant to another, and the reasons that forbid them. Nothing is written."""
