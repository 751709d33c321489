"""The four ways to a derivative side by side: value, digits, cost and size of each."""
