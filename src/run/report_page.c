#include "run/report_page.h"

#include "run/chart.h"

#include <string.h>

REPORT_PAGE_FILE(report_page_css, "src/run/report.css");
REPORT_PAGE_FILE(report_page_js, "src/run/report.js");

void report_page_begin(const char *title, const char *const *styles, struct text *out)
{
	text_print(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
	                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
	                "'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src "
	                "data:\"/>\n"
	                "<meta name=\"viewport\" content=\"width=device-width, "
	                "initial-scale=1\"/>\n<link rel=\"icon\" href=\"data:,\"/>\n<title>");
	chart_add_escaped(out, title, strlen(title));
	text_print(out, "</title>\n<style>\n");
	for (int i = 0; styles[i]; i++)
		text_add(out, styles[i], strlen(styles[i]));
	text_print(out, "</style></head>\n<body>\n");
}

void report_page_end(const char *script, struct text *out)
{
	text_print(out, "<script>\n");
	text_add(out, script, strlen(script));
	text_print(out, "</script>\n</body></html>\n");
}
