/* A model that learns one answer by trial: embed MODEL PROMPT ANSWER.
 *     cc $(pkg-config --cflags hone) embed.c $(pkg-config --libs hone) -o embed */
#include <hone.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { G = 16, STEPS = 24, TOKENS = 32 };

static void must(int status)
{
	if (status == 0)
		return;
	fprintf(stderr, "embed: %s\n", hone_error());
	exit(status);
}

int main(int argc, char **argv)
{
	const struct hone_completion *c;
	struct hone_model            *m;
	const int                    *prompt;
	int                           n_prompt;

	if (argc != 4)
		return 2;
	must(hone_load(argv[1], &(struct hone_options){.learns = 1}, &m));
	must(hone_encode(m, argv[2], &prompt, &n_prompt));
	for (uint32_t step = 0; step < STEPS; step++) {
		struct hone_row rows[G];
		double          reward[G], mean = 0, worst = 0;
		must(hone_sample(
		        m, prompt, n_prompt,
		        &(struct hone_sampling){.n = G, .max_tokens = TOKENS, .step = step}, &c));
		for (int i = 0; i < G; i++) {
			float logp[TOKENS];
			must(hone_score("numeric", c[i].text, argv[3], &reward[i]));
			mean += reward[i] / G;
			must(hone_logprobs(m, prompt, n_prompt, c[i].ids, c[i].n, logp));
			for (int t = 0; t < c[i].n; t++)
				worst = fmax(worst, fabs((double)logp[t] - (double)c[i].logp[t]));
		}
		for (int i = 0; i < G; i++)
			rows[i] = (struct hone_row){prompt, c[i].ids, n_prompt, c[i].n,
			                            reward[i] - mean};
		must(hone_step(m, rows, G, 1e-2, NULL));
		printf("step %u reward %.3f difference %g\n", step, mean, worst);
	}
	hone_free(m);
}
