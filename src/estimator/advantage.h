/* advantage.h - from rewards to one number per token.
 *
 *     value      v_i = R_i - beta sum_t k_t        the KL part only with kl_placement: reward
 *
 *         With signed_rewards 2 R_i - 1 stands for R_i: the rewards -1 and 1 of TOPR
 *         (arXiv:2503.14286) from verifiers that give 0 and 1.
 *
 *         With multi_objective_aggregation normalize_then_sum, c_ik the rewards of the verifiers,
 *             v_i = sum_k weight_k (c_ik - mean_k) / (std_k + advantage_eps)
 *         mean and unbiased std over the group, 0 where all are equal; one that does not apply
 *         (NaN) adds nothing and counts nowhere (GDPO, arXiv:2601.05242). Without components the
 *         reward is the only one.
 *
 *     outcome    A_i = (v_i - baseline) / (scale + advantage_eps)
 *
 *         baseline   none           0
 *                    batch, group   mean
 *                    leave_one_out  mean of the others of the group: A_i = G/(G-1) (v_i - mean)
 *                    constant       baseline_value; off policy a constant changes what is learned,
 *                                   see advantage_baseline_for
 *                    critic         0 here, the values V below
 *                    group_by_length
 *                                   sum_i n_i v_i / sum_i n_i over the group, n_i trained tokens:
 *                                   the constant with the least variance where the square of a
 *                                   completion's score grows with its length (OPO,
 *                                   arXiv:2505.23585)
 *                    second_best    A_i = v_i - the second best of the group where v_i is the
 *                                   best, else 0: what each adds to the best of all, the others
 *                                   being there (arXiv:2503.19595); 0 where two are the best
 *         scale      none           no division at all
 *                    group, batch   unbiased standard deviation of the v
 *                    mean           mean of the group, without eps; A is 0 where it is not above
 *                                   0 (MaxRL, arXiv:2602.02710)
 *                    nonzero        share of the batch's rows with v != 0, without eps; A is 0
 *                                   where there is none (GPG, arXiv:2504.02546, as in verl)
 *
 *     per token  A_it = q_it + gamma V_i,t+1 - V_it + gamma lam A_i,t+1
 *                q_it = -beta k_t [kl_placement: token_reward] + A_i at the last trained token
 *
 *         With token rewards d_it (the rise of the reward with each token, summing to R_i; verl's
 *         dense reward) every token is paid its own: q_it gets
 *             (d_it - mean of d_jt over the rows j of the baseline) / (scale + advantage_eps),
 *         and the last trained token what is left of A_i. So the first token's advantage is A_i as
 *         ever, and that of a later one its reward to go less the mean reward to go at the same
 *         place: it is not praised for what was earned before it. d is 0 behind the end of a row;
 *         leave_one_out is again G/(G-1) times that; no mean is taken with baseline none, constant
 *         and critic. Where a scale of 0 would divide, all of A_i comes at the end. (DeepSeekMath,
 *         arXiv:2402.03300 section 4.1.3, has one mean for all rewards of a group, whatever their
 *         place.)
 *
 *         With baseline critic this is generalised advantage estimation (arXiv:1506.02438); V
 *         behind the last token is 0 even when the completion was cut off. With any other baseline
 *         V is 0 and lam 1, so that without KL and with gamma 1 it is A_i on every token.
 *
 *         Tokens that are not trained (observations) are skipped: A and V go on behind them as if
 *         they were not there; they get 0.
 *
 *     target     ret_it = A_it + V_it, before whitening; NaN where nothing is to be learned
 *
 *     whiten     A_it <- (A_it - mean) / sqrt(var + 1e-8)
 *
 *         Over all trained tokens of the batch, so long completions weigh more. A - mean where
 *         var < 1e-8: noise of the last bits is not blown up to unit variance.
 *
 * GRPO: group, group. Dr.GRPO: group, none. RLOO: leave_one_out, none. REINFORCE++
 * (arXiv:2501.03262): none, none, whiten.
 *
 * Exactly 0, whatever advantage_eps is: where all values that a baseline is taken from are equal
 * (max == min), or where there are fewer than two of them; likewise a batch whose tokens are all
 * equal, when whitened. Whitening moves a constant group off 0 when the batch is not constant (as
 * in verl): use dynamic sampling there. A reward (or KL) that is not finite, or beyond 1e30, takes
 * its row out of all statistics; the row's advantage is 0.
 *
 * The order of the rows never changes an advantage, not by one bit: sums over rows are taken over
 * sorted numbers. Groups are recognised by id. */
#ifndef ESTIMATOR_ADVANTAGE_H
#define ESTIMATOR_ADVANTAGE_H

#include "estimator/algorithm.h"
#include "estimator/batch.h"

struct advantage_stats { /* sums; divide when printing */
	double rows;     /* whose reward counted */
	double invalid;  /* rows left out: reward or KL not usable */
	double reward;   /* over the counted rows, before KL */
	/* over the counted rows: sum over tokens of k; 0 unless KL is in the reward */
	double kl;
	double groups;          /* with at least one counted row */
	double groups_constant; /* of those, all values equal: no signal from the outcome */
	double groups_lone;     /* of those, a single counted row */
	double group_std;       /* sum over groups of the standard deviation of the values */
};

/* The constant baseline c for which completions of reward 1, a share p of the data (the others have
 * -1), make up the share `wanted` of the weight:
 *
 *     wanted = p (1 - c) / (p (1 - c) + (1 - p) (1 + c))
 *     c      = (p - wanted) / (p + wanted (1 - 2 p)) */
double advantage_baseline_for(double p, double wanted);

/* Writes advantage, and with baseline critic target; takes them from `a` where they are not there.
 * ADDS to *stats. Reads group, reward, rise and, with normalize_then_sum, components;
 * logp_old and logp_ref when KL is in the reward;
 * value with baseline critic. Scratch from `a` is released. ERR_INPUT: a row without token. */
int advantage_fill(const struct algorithm *alg, struct batch *b, struct arena *a,
                   struct advantage_stats *stats);

#endif
