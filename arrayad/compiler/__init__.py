"""The compiler: a tape becomes C text, the text a shared object in a cache, the object a program that one call runs."""
