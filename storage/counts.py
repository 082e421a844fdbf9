"""The columns with counts, of two tables."""

from inventory.outcomes import Counts
from inventory.portfolio import PortfolioCounts

COUNT_NAMES: tuple[str, ...] = tuple(Counts.model_fields)
PORTFOLIO_COUNT_NAMES: tuple[str, ...] = tuple(PortfolioCounts.model_fields)
