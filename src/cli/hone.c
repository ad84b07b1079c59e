#include <stdio.h>

int main(void)
{
	puts("hone");
	return 0;
}
