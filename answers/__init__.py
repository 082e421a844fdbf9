"""What the inventory can be asked: changes, drift, dependencies, comparison.

Each answer is a function on a session that returns records and says what it rests on; commands print them, and a page
can use them as they are.
"""
