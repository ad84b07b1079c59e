/* What is wrong is said: exit status 2, one message that names the file, line, key or tensor, and
 * nothing half written. */
#include "run.h"

struct wrong {
	const char *line; /* behind "hone" */
	const char *part; /* of the message */
};

/* Every line that trains writes to the folder out, if it writes at all. */
#define TRAIN(settings) "train good.yaml run.output_dir=out " settings
#define SFT(settings) "sft good.yaml run.output_dir=out " settings
#define CONFIG(name) "train " name " run.output_dir=out"

/* ---- what lies in the folder ---- */

#define MODEL \
	"model:\n" \
	"  tokenizer: \"chars:0123456789,:+=\"\n" \
	"  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: " \
	"24, n_positions: 32}\n"
#define REST \
	"rollout: {num_generations: 2, prompts_per_step: 2, max_completion_length: 4}\nsft: " \
	"{batch_size: 4}\n"
#define DATA "data: {generate: [{name: sequence, count: 10}]}\n"
#define TASK "task: {reward: sequence}\n"
#define GOOD MODEL DATA TASK REST

static const struct {
	const char *name, *text;
} files[] = {
        {"good.yaml", GOOD "run: {max_steps: 2}\n"},
        {"unknown-key.yaml", GOOD "optim:\n  learning_rat: 1\n"},
        {"unknown-room.yaml", GOOD "optimiser:\n  learning_rate: 1\n"},
        {"wrong-type.yaml", GOOD "run:\n  max_steps: many\n"},
        {"list-for-number.yaml", GOOD "run: {max_steps: [1, 2]}\n"},
        {"text-for-room.yaml", GOOD "run: fast\n"},
        {"twice.yaml", GOOD "run: {max_steps: 1}\nrun: {max_steps: 2}\n"},
        {"dotted.yaml", GOOD "run.max_steps: 2\n"},
        {"not-yaml.yaml", GOOD "run: {max_steps: 2\n"},
        {"list.yaml", "- 1\n- 2\n"},
        {"empty.yaml", ""},
        {"not-text.yaml", "run: {output_dir: \"\xff\xfe\"}\n"},
        {"circle.yaml", "extends: circle.yaml\n"},
        {"extends-nothing.yaml", "extends: nowhere.yaml\n"},
        {"no-data.yaml", MODEL TASK REST},
        {"no-reward.yaml", MODEL DATA REST},
        {"no-tokenizer.yaml", "model: {init: {width: 16}}\n" DATA TASK REST},
        {"bad-row.yaml", MODEL "data:\n  generate: [{name: sequence, cuont: 10}]\n" TASK REST},
        {"nameless-row.yaml", MODEL "data:\n  generate: [{count: 10}]\n" TASK REST},
        {"both-rewards.yaml",
         MODEL DATA "task: {reward: sequence, rewards: [{name: numeric}]}\n" REST},
        {"same-rewards.yaml",
         MODEL DATA "task: {rewards: [{name: numeric}, {name: numeric}]}\n" REST},
        {"warmups.yaml",
         GOOD "optim: {lr_scheduler_type: cosine, warmup_steps: 2, warmup_ratio: 0.5}\n"},
        {"files.yaml", MODEL "data: {train: [rows.jsonl]}\n" TASK REST "run: {max_steps: 1}\n"},

        {"rows.jsonl", "{\"prompt\": \"1,2:9,1\", \"answer\": \"3\"}\n{\"prompt\": \"2,3:9,1\", "
                       "\"answer\": \"4\"}\n"},
        {"not-json.jsonl", "{\"prompt\": \"1,2:9,1\", \"answer\": \"3\"}\n\n{\"prompt\": \"1,2:\n"},
        {"no-prompt.jsonl", "{\"prompt\": \"1\", \"answer\": \"3\"}\n{\"answer\": \"4\"}\n"},
        {"empty-prompt.jsonl", "{\"prompt\": \"\", \"answer\": \"3\"}\n"},
        {"number-prompt.jsonl", "{\"prompt\": 7, \"answer\": \"3\"}\n"},
        {"no-answer.jsonl", "{\"prompt\": \"1\"}\n"},
        {"list-row.jsonl", "[1, 2]\n"},
        {"same-ids.jsonl", "{\"id\": \"a\", \"prompt\": \"1\", \"answer\": \"3\"}\n{\"id\": \"b\", "
                           "\"prompt\": \"1\", \"answer\": \"3\"}\n"
                           "{\"id\": \"a\", \"prompt\": \"1\", \"answer\": \"3\"}\n"},
        {"empty.jsonl", "\n"},
        {"same-keys.jsonl", "{\"prompt\": \"1\", \"prompt\": \"2\", \"answer\": \"3\"}\n"},
        {"parquet.jsonl", "PAR1 and so on\n"},
        {"not-gzip.jsonl.gz", "\x1f\x8b this is not gzip"},
        {"not-utf8.jsonl", "{\"prompt\": \"\xff\", \"answer\": \"3\"}\n"},

        {"texts.jsonl", "{\"text\": \"1+2\"}\n{\"text\": 7}\nnonsense\n{\"text\": \"3\"}\n"},
        {"ids.jsonl", "{\"ids\": [3, 4]}\n{\"ids\": [3, 4000]}\n{\"ids\": \"3\"}\n{\"ids\": "
                      "[-1]}\n{\"ids\": [4, 3]}\n"},
        {"completions.jsonl", "{\"completion\": \"3\", \"answer\": \"3\"}\n{\"answer\": "
                              "\"3\"}\n[]\n{\"completion\": \"4\", \"answer\": \"3\"}\n"},
};

/* Model folders, each with one thing wrong: made from the sound one by a line of shell inside of
 * the copy. */
static const struct {
	const char *name, *damage;
} models[] = {
        {"cut-off", "truncate -s -100 model.safetensors"},
        {"cut-short", "truncate -s 5 model.safetensors"},
        {"no-weights", "rm model.safetensors"},
        {"not-tensors", "tr '\\000-\\377' P < optimizer.safetensors > model.safetensors"},
        {"long-header",
         "printf '\\377\\377\\377\\177' | dd of=model.safetensors conv=notrunc 2>/dev/null"},
        {"not-a-number",
         "truncate -s -4 model.safetensors; printf '\\000\\000\\300\\177' >> model.safetensors"},
        {"strange-tensor", "sed -i 's/model.norm.weight/model.nerm.weight/' model.safetensors"},
        {"other-shape", "sed -i 's/\\[24,16\\]/[16,24]/' model.safetensors"},
        {"wrong-size", "sed -i 's/\\[17,16\\]/[17,15]/' model.safetensors"},
        {"other-number", "sed -i 's/\"F32\"/\"I32\"/' model.safetensors"},
        {"untied",
         "sed -i 's/\"tie_word_embeddings\": true/\"tie_word_embeddings\": false/' config.json"},
        {"more-layers",
         "sed -i 's/\"num_hidden_layers\": 1/\"num_hidden_layers\": 2/' config.json"},
        {"huge", "sed -i 's/\"num_hidden_layers\": 1/\"num_hidden_layers\": 1000/' config.json"},
        {"other-width", "sed -i 's/\"hidden_size\": 16/\"hidden_size\": 18/' config.json"},
        {"other-kind", "sed -i 's/\"llama\"/\"mamba\"/' config.json"},
        {"activation", "sed -i 's/\"silu\"/\"gelu\"/' config.json"},
        {"bias", "sed -i 's/\"attention_bias\": false/\"attention_bias\": true/' config.json"},
        {"heads", "sed -i 's/\"num_key_value_heads\": 1/\"num_key_value_heads\": 3/' config.json"},
        {"no-vocabulary", "sed -i '/vocab_size/d' config.json"},
        {"text-layers",
         "sed -i 's/\"num_hidden_layers\": 1/\"num_hidden_layers\": \"1\"/' config.json"},
        {"no-end", "sed -i 's/\"eos_token_id\": 1/\"eos_token_id\": null/' config.json "
                   "generation_config.json"},
        {"far-end", "sed -i 's/\"eos_token_id\": 1/\"eos_token_id\": 17/' config.json"},
        {"no-config", "rm config.json"},
        {"not-json", "echo '{' > config.json"},
        {"no-tokenizer", "rm tokenizer.json tokenizer_config.json"},
        {"bad-tokenizer",
         "echo '{\"model\": {\"type\": \"WordPiece\", \"vocab\": {}}}' > tokenizer.json"},
};

static const struct wrong wrong_configs[] = {
        {CONFIG("nowhere.yaml"), "nowhere.yaml: "},
        {CONFIG("unknown-key.yaml"), "unknown-key.yaml:9: optim.learning_rat is not an option; did "
                                     "you mean optim.learning_rate?"},
        {CONFIG("unknown-room.yaml"), "unknown-room.yaml:9: optimiser.learning_rate is not an "
                                      "option; did you mean optim.learning_rate?"},
        {CONFIG("wrong-type.yaml"), "wrong-type.yaml:9: run.max_steps is many, but must be"},
        {CONFIG("list-for-number.yaml"), "list-for-number.yaml:8: run.max_steps is a list"},
        {CONFIG("text-for-room.yaml"), "text-for-room.yaml:8: run is "},
        {CONFIG("twice.yaml"), "twice.yaml:9: the key run stands here for the second time"},
        {CONFIG("dotted.yaml"), "dotted.yaml:8: write run.max_steps as maps"},
        {CONFIG("not-yaml.yaml"), "not-yaml.yaml:"},
        {CONFIG("list.yaml"), "list.yaml: the file holds a list"},
        {CONFIG("empty.yaml"), "empty.yaml: "},
        {CONFIG("not-text.yaml"), "not-text.yaml: not UTF-8"},
        {CONFIG("circle.yaml"), "circle.yaml:1: extends"},
        {CONFIG("extends-nothing.yaml"), "nowhere.yaml"},
        {CONFIG("no-data.yaml"), "data.train or data.generate must be given"},
        {CONFIG("no-reward.yaml"), "task.reward or task.rewards must be given"},
        {CONFIG("no-tokenizer.yaml"), "model.tokenizer: a model made from model.init needs one"},
        {CONFIG("bad-row.yaml"),
         "bad-row.yaml:5: data.generate[0].cuont is not an option; did you mean count?"},
        {CONFIG("nameless-row.yaml"), "name is missing"},
        {CONFIG("both-rewards.yaml"), "task.rewards stands beside task.reward"},
        {CONFIG("same-rewards.yaml"),
         "same-rewards.yaml:5: task.rewards: the verifier \"numeric\" is named twice"},
        {CONFIG("warmups.yaml"), "optim.warmup_ratio stands beside optim.warmup_steps"},
        {CONFIG("."), ".: "},
        {TRAIN("run.max_stepz=1"),
         "command line: run.max_stepz is not an option; did you mean run.max_steps?"},
        {TRAIN("run=1"), "command line: run is a room"},
        {TRAIN("max_steps"), "command line: max_steps is not of the form key.path=value"},
        {TRAIN("run.max_steps=-1"), "run.max_steps is -1, outside 0"},
        {TRAIN("run.max_steps=1.5"), "run.max_steps is 1.5, but must be an integer"},
        {TRAIN("run.max_steps=99999999999"), "run.max_steps is"},
        {TRAIN("rollout.top_p=2"), "rollout.top_p is 2, outside 1e-06 .. 1"},
        {TRAIN("optim.learning_rate=nan"), "optim.learning_rate"},
        {TRAIN("optim.learning_rate=inf"), "optim.learning_rate"},
        {TRAIN("run.tensorboard=maybe"), "run.tensorboard"},
        {TRAIN("task.permute_rewards=2"), "task.permute_rewards"},
        {TRAIN("algorithm=ppo2"), "algorithm is ppo2, but must be one of"},
        {TRAIN("compute.backend=cuda"), "compute.backend is cuda, but must be one of"},
        {TRAIN("compute.numerics=loose"), "compute.numerics"},
        {TRAIN("task.reward=exakt"), "no verifier \"exakt\"; there are: exact"},
        {TRAIN("task.eval_reward=exakt"), "task.eval_reward: no verifier \"exakt\""},
        {TRAIN("'data.generate=[{name: chess}]'"), "no generator \"chess\"; there are: "},
        {TRAIN("'data.generate=[{name: sequence, levels: 50}]'"), "sequence has levels"},
        {TRAIN("'data.generate=[{name: sequence, levels: 5-2}]'"), "levels"},
        {TRAIN("curriculum.kind=hard"), "curriculum.kind"},
        {TRAIN("curriculum.alpha=0.5"),
         "curriculum.alpha is set, but it is read only when curriculum.kind=sec"},
        {TRAIN("curriculum.kind=uniform curriculum.temperature=1"),
         "curriculum.temperature is set, but it is read only when"},
        {TRAIN("curriculum.kind=sec curriculum.window=300"),
         "curriculum.window is set, but it is read only when curriculum.kind=dump"},
        {TRAIN("curriculum.kind=sec curriculum.alpha=1.5"),
         "curriculum.alpha is 1.5, outside 0 .. 1"},
        {TRAIN("curriculum.kind=sec curriculum.temperature=-1"),
         "curriculum.temperature is -1, outside 0"},
        {TRAIN("curriculum.kind=sec curriculum.unsampled=drop"),
         "curriculum.unsampled is drop, but must be one of"},
        {TRAIN("curriculum.kind=sec 'curriculum.categories=[category, type]'"),
         "command line: curriculum.categories: problem sequence/1/0/0 has no column \"type\""},
        {TRAIN("curriculum.kind=dump curriculum.window=0"), "curriculum.window is 0, outside 1"},
        {TRAIN("curriculum.kind=dump curriculum.count=tokens"),
         "curriculum.count is tokens, but must be one of"},
        {TRAIN("curriculum.kind=easy_to_hard curriculum.steps_per_level=0"),
         "curriculum.steps_per_level is 0, outside 1"},
        {TRAIN("curriculum.kind=easy_to_hard curriculum.levels=11"),
         "curriculum.levels is 11, but there are only 10 problems"},
        {SFT("curriculum.kind=sec"),
         "command line: curriculum.kind sec goes by the rewards of sampled completions"},
        {TRAIN("loss.beta=-0.1"), "loss.beta is -0.1, outside 0"},
        {TRAIN("data.system_prompt=12"),
         "command line: data.system_prompt is set, but no prompt takes it"},
        {TRAIN("rollout.top_p=0"), "rollout.top_p is 0, outside 1e-06 .. 1"},
        {TRAIN("rollout.temperature=1e-38"), "rollout.temperature is 1e-38, too near to 0"},
        {TRAIN("optim.warmup_steps=10"),
         "optim.warmup_steps is set, but it is read only when optim.lr_scheduler_type!=constant"},
        {TRAIN("run.eval_steps=1"), "run.eval_steps is set, but it is read only when data.eval"},
        {TRAIN("loss.clip=gentle"), "loss.clip is gentle"},
        {TRAIN("loss.epsilon=1 loss.delta=1.1"), "delta"},
        {TRAIN("loss.kl_estimator=k1 loss.beta=0.1"), "k1 in the loss"},
        {TRAIN("loss.kl_estimator=k4"), "loss.kl_estimator is k4"},
        {TRAIN("loss.baseline=mean"), "loss.baseline is mean"},
        {TRAIN("loss.baseline_value=0.5"),
         "loss.baseline_value is set, but it is read only when loss.baseline=constant"},
        {TRAIN("loss.tau_positive=2"),
         "loss.tau_positive is set, but it is read only when loss.clip=soft"},
        {TRAIN("algorithm=sapo loss.tau_negative=0"), "must be above 0"},
        {TRAIN("algorithm=dro guidance.kind=guide"), "not go with loss.proximal"},
        {TRAIN("algorithm=kl_cov guidance.kind=guide"), "not go with loss.covariance"},
        {TRAIN("algorithm=dppo_kl loss.importance_sampling_level=sequence"),
         "bounds the probability of a token"},
        {TRAIN("algorithm=gdpo task.permute_rewards=true"), "takes each of them as it is"},
        {TRAIN("algorithm=gdpo loss.overlong=shape"), "changes only their sum"},
        {TRAIN("algorithm=opo task.token_rewards=true"), "compares the rewards of the same place"},
        {TRAIN("algorithm=maxrl loss.baseline=batch"), "the mean of a group"},
        {TRAIN("loss.negative_high=2"),
         "loss.negative_high is set, but it is read only when loss.clip=taper"},
        {TRAIN("algorithm=topr loss.positive_low=2"),
         "must be 0 or more and the low one not above the high one"},
        {TRAIN("loss.lam=0.5"), "loss.lam is set, but it is read only when loss.baseline=critic"},
        {TRAIN("algorithm=ppo loss.lam=1.5"), "loss.lam is 1.5, outside 0"},
        {TRAIN("algorithm=ppo loss.scale_rewards=group"), "group"},
        {TRAIN("algorithm=ppo loss.kl_controller=adaptive"), "beta is 0"},
        {TRAIN("loss.kl_controller=pid"), "loss.kl_controller is pid"},
        {TRAIN("loss.kl_target=1"),
         "loss.kl_target is set, but it is read only when loss.kl_controller=adaptive"},
        {TRAIN("credit.zeta=0.2"), "credit.zeta is set, but it is read only when credit.kind=empg"},
        {TRAIN("credit.kind=entropy"), "credit.kind is entropy"},
        {TRAIN("credit.kind=empg credit.segments=word"), "credit.segments is word"},
        {TRAIN("credit.kind=empg credit.zero_variance=drop"), "credit.zero_variance is drop"},
        {TRAIN("credit.kind=empg credit.k=-1"), "credit.k is -1"},
        {TRAIN("credit.kind=empg credit.k_bonus=101"), "credit.k_bonus is 101"},
        {TRAIN("credit.kind=empg credit.zeta=-1"), "credit.zeta is -1"},
        {TRAIN("task.verifier.decimals=2"),
         "task.verifier.decimals is set, but it is read only when task.verifiers=math"},
        {TRAIN("task.reward=math task.verifier.decimals=16"), "task.verifier.decimals is 16"},
        {TRAIN("task.reward=math task.verifier.interval_relations=maybe"),
         "task.verifier.interval_relations is maybe"},
        {TRAIN("guidance.form=mixed"),
         "guidance.form is set, but it is read only when guidance.kind=guide"},
        {TRAIN("guidance.kind=guide guidance.trigger_accuracy=2"),
         "guidance.trigger_accuracy is 2"},
        {TRAIN("credit.kind=empg credit.shuffle=2"), "credit.shuffle is 2"},
        {TRAIN("critic.network=shared"),
         "critic.network is set, but it is read only when loss.baseline=critic"},
        {TRAIN("algorithm=ppo critic.network=both"), "critic.network is both"},
        {TRAIN("algorithm=ppo critic.vf_coef=1"),
         "critic.vf_coef is set, but it is read only when critic.network=shared"},
        {TRAIN("algorithm=ppo critic.cliprange_value=-1"),
         "critic.cliprange_value is -1, outside 0"},
        {TRAIN("algorithm=ppo critic.learning_rate=11"), "critic.learning_rate is 11"},
        {TRAIN("algorithm=ppo critic.warmup_steps=-1"), "critic.warmup_steps is -1"},
        {TRAIN("loss.mismatch=tis"), "loss.mismatch is tis, but must be one of"},
        {TRAIN("loss.mismatch=token_mask loss.mismatch_max=0.5"),
         "loss.mismatch_max is 0.5, outside 1"},
        {TRAIN("loss.mismatch=token_mask loss.mismatch_min=2"),
         "loss.mismatch_min is 2, outside 0"},
        {TRAIN("compute.numerics=fast algorithm=reinforce loss.mismatch=token_mask"),
         "importance_sampling_level is none"},
        {TRAIN("loss.off_policy_mask=-1"), "loss.off_policy_mask is -1, outside 0"},
        {TRAIN("loss.top_entropy=0"), "top_entropy is 0; a share"},
        {TRAIN("algorithm=rloo loss.use_bias_correction_kl=true"), "has no gradient"},
        {TRAIN("algorithm=cispo loss.epsilon_high=0.2"), "every step would shrink"},
        {TRAIN("rollout.num_generations=1"), "num_generations is 1"},
        {TRAIN("rollout.num_generations=0"), "rollout.num_generations is 0"},
        {TRAIN("rollout.temperature=0"), "command line: rollout.temperature is 0"},
        {TRAIN("rollout.max_completion_length=40"), "rollout.max_completion_length (40)"},
        {TRAIN("data.max_prompt_length=2"),
         "all 10 prompts are longer than data.max_prompt_length 2"},
        {TRAIN("model.init.n_heads=3 model.init.n_kv_heads=2"),
         "model.init.n_kv_heads (2) must divide"},
        {TRAIN("model.init.head_width=7"), "model.init.head_width (7) must be even"},
        {TRAIN("model.path=good"), "model.init.width is set, but it is read only when model.path="},
        {TRAIN("model.reference=good loss.beta=0"),
         "model.reference is set, but it is read only when"},
        {TRAIN("compute.memory_limit_gb=0.0001"), "compute.micro_batch_tokens"},
        {TRAIN("optim.num_minibatches=0"), "optim.num_minibatches is 0"},
        {SFT("sft.batch_size=0"), "sft.batch_size is 0"},
};

static const struct wrong wrong_data[] = {
        {"train files.yaml run.output_dir=out data.train=nowhere.jsonl", "nowhere.jsonl: "},
        {"train files.yaml run.output_dir=out data.train=.", ".: "},
        {"train files.yaml run.output_dir=out data.train=not-json.jsonl",
         "not-json.jsonl:3: not valid JSON"},
        {"train files.yaml run.output_dir=out data.train=no-prompt.jsonl",
         "no-prompt.jsonl:2: no prompt"},
        {"train files.yaml run.output_dir=out data.train=empty-prompt.jsonl",
         "empty-prompt.jsonl:1: the prompt \"prompt\" is empty"},
        {"train files.yaml run.output_dir=out data.train=number-prompt.jsonl",
         "number-prompt.jsonl:1: the prompt \"prompt\" must be"},
        {"train files.yaml run.output_dir=out data.train=no-answer.jsonl", "answer"},
        {"train files.yaml run.output_dir=out data.train=list-row.jsonl",
         "list-row.jsonl:1: row 1 must be a JSON object"},
        {"train files.yaml run.output_dir=out data.train=same-ids.jsonl",
         "two problems have the id \"a\": same-ids.jsonl:1 and same-ids.jsonl:3"},
        {"train files.yaml run.output_dir=out data.train=empty.jsonl",
         "empty.jsonl: no rows in it"},
        {"train files.yaml run.output_dir=out data.train=same-keys.jsonl", "same-keys.jsonl:1: "},
        {"train files.yaml run.output_dir=out data.train=parquet.jsonl",
         "parquet.jsonl: this is a Parquet file, and no rows of JSON; run: python3 -c"},
        {"train files.yaml run.output_dir=out data.train=not-gzip.jsonl.gz", "not-gzip.jsonl.gz"},
        {"train files.yaml run.output_dir=out data.train=not-utf8.jsonl", "not-utf8.jsonl:1: "},
        {"train files.yaml run.output_dir=out data.prompt_column=ask",
         "rows.jsonl:1: the prompt column \"ask\" is missing"},
        {"train files.yaml run.output_dir=out data.answer_column=gold",
         "problem rows:1: verifier sequence: the problem has no answer"},
        {"train files.yaml run.output_dir=out 'data.prompt_template={prompt}{x}'",
         "rows.jsonl:1: the row has no column \"x\""},
        {"train files.yaml run.output_dir=out data.convert=sequence",
         "data.convert: \"sequence\" knows no published rows"},
        {"train files.yaml run.output_dir=out data.eval=nowhere.jsonl", "nowhere.jsonl: "},
        {"sft files.yaml run.output_dir=out data.train=no-answer.jsonl",
         "neither a demonstration nor an answer"},
};

/* Lines over the damaged model folders: the same message wherever a model is read. */
static const struct wrong wrong_models[] = {
        {"cut-off", "is it cut off?"},
        {"cut-short",
         "cut-short: config.json asks for 2240 weights, but the files of the model hold 5 bytes"},
        {"no-weights", "neither model.safetensors nor"},
        {"not-tensors", "not-tensors/model.safetensors: a header of"},
        {"long-header", "model.safetensors: a header of"},
        {"not-a-number", "tensor model.norm.weight holds nan at index 15"},
        {"strange-tensor", "tensor \"model.nerm.weight\" is not part of a model"},
        {"other-shape", "tensor \"model.layers.0.mlp.gate_proj.weight\" has the shape [16, 24], "
                        "but config.json makes it [24, 16]"},
        {"wrong-size", "tensor \"model.embed_tokens.weight\": its data have 1088 bytes"},
        {"other-number", "has type I32"},
        {"untied", "tensor \"lm_head.weight\" is missing"},
        {"more-layers", "tensor \"model.layers.1."},
        {"huge", "config.json asks for"},
        {"other-width", "config.json makes it"},
        {"other-kind", "config.json: \"model_type\" is \"mamba\"; known: llama"},
        {"activation", "config.json: \"hidden_act\" is \"gelu\""},
        {"bias", "config.json: \"attention_bias\" is set"},
        {"heads", "num_key_value_heads is 3; it must divide"},
        {"no-vocabulary", "config.json: the key \"vocab_size\" is missing"},
        {"text-layers", "config.json: \"num_hidden_layers\" must be an integer"},
        {"far-end", "config.json: \"eos_token_id\" must hold token ids"},
        {"no-config", "no-config/config.json"},
        {"not-json", "config.json: not valid JSON"},
        {"no-tokenizer", "tokenizer"},
        {"bad-tokenizer", "tokenizer.json: model: \"WordPiece\" is not supported"},
};

static const struct wrong wrong_lines[] = {
        {"", "hone COMMAND"},
        {"trian", "there is no command \"trian\""},
        {"train", "usage: hone train CONFIG"},
        {"train run.max_steps=1", "usage: hone train CONFIG"},
        {TRAIN("--resum"), "unknown option --resum; did you mean --resume?"},
        {TRAIN("--resume=yes"), "--resume takes no value"},
        {"data", "usage: hone data GENERATOR"},
        {"data chess", "no generator \"chess\""},
        {"data sequence --count", "--count wants a value"},
        {"data sequence --count many", "--count wants a whole number from 0 on, not \"many\""},
        {"data sequence --count -1", "--count wants"},
        {"data sequence --count 0", "0 problems"},
        {"data sequence --difficulty 3-1", "--difficulty wants"},
        {"data sequence --difficulty 50", "sequence has levels"},
        {"data sequence --error-rate 2", "--error-rate wants a share"},
        {"data sequence > /dev/full", "cannot write to standard output"},
        {"score", "usage: hone score --task NAME"},
        {"score --task exakt", "no verifier \"exakt\""},
        {"score --task numeric --partial 2", "--partial wants a share"},
        {"score --task format --pattern '('", "pattern"},
        {"generate", "usage: hone generate MODEL"},
        {"generate good", "usage: hone generate MODEL"},
        {"generate nowhere --prompt 1", "nowhere: no such folder"},
        {"generate good --prompt 1 --top-p 2", "--top-p"},
        {"generate good --prompt 1 --temperature hot", "--temperature wants"},
        {"generate good --prompt-ids 3,99", "--prompt-ids wants token ids from 0 to 16"},
        {"generate good --prompt-ids 3,,4", "--prompt-ids wants token ids"},
        {"generate good --prompt 1 --max-tokens 0", "--max-tokens"},
        {"generate good --prompt 1234567890123456789012345678901234567890",
         "the prompt has 40 tokens, the model 32 positions"},
        {"logprobs", "usage: hone logprobs MODEL"},
        {"logprobs nowhere", "nowhere: no such folder"},
        {"tokenize", "usage: hone tokenize MODEL"},
        {"tokenize good --nospecial", "did you mean --no-special?"},
        {"detokenize nowhere", "nowhere: no such folder"},
        {"inspect", "usage: hone inspect PATH"},
        {"inspect nowhere", "nowhere: no such folder"},
        {"inspect good.yaml", "good.yaml: no rows of JSON"},
};

/* ---- tests ---- */

static void assert_wrong(const char *line, const char *part)
{
	int status = hone("%s", line);

	if (status != 2 || !file_says("stderr", part)) {
		size_t n;
		fail_msg("hone %s: exit status %d, and says \"%s\", expected 2 and \"%s\"", line,
		         status, read_all("stderr", &n), part);
	}
	if (file_exists("out") || file_exists("runs"))
		fail_msg("hone %s: left a folder behind", line);
}

#define ASSERT_ALL(table) \
	do { \
		for (size_t i_ = 0; i_ < sizeof(table) / sizeof *(table); i_++) \
			assert_wrong((table)[i_].line, (table)[i_].part); \
	} while (0)

static void the_good_one_is_good(void **state)
{
	(void)state;
	assert_int_equal(hone(TRAIN("")), 0);
	assert_true(file_exists("out/checkpoint-2"));
	shell("rm -r out");
	assert_int_equal(hone("train files.yaml run.output_dir=out"), 0);
	shell("rm -r out");
	assert_int_equal(hone("logprobs good < /dev/null"), 0);
}

static void configs_name_the_line_and_the_key(void **state)
{
	(void)state;
	ASSERT_ALL(wrong_configs);
}

static void data_name_the_file_and_the_line(void **state)
{
	(void)state;
	ASSERT_ALL(wrong_data);
}

static void models_name_the_key_or_the_tensor(void **state)
{
	(void)state;
	char line[256];

	for (size_t i = 0; i < sizeof wrong_models / sizeof *wrong_models; i++) {
		snprintf(line, sizeof line, "train from.yaml run.output_dir=out model.path=%s",
		         wrong_models[i].line);
		assert_wrong(line, wrong_models[i].part);
		snprintf(line, sizeof line, "generate %s --prompt 1", wrong_models[i].line);
		assert_wrong(line, wrong_models[i].part);
	}
	assert_wrong("train from.yaml run.output_dir=out model.path=nowhere",
	             "nowhere: no such folder");
	assert_wrong("train from.yaml run.output_dir=out model.path=no-end", "no eos_token_id");
	assert_wrong("train from.yaml run.output_dir=out "
	             "model.tokenizer=chars:abcdefghijklmnopqrstuvwxyz",
	             "they do not belong together");
	assert_wrong("train from.yaml run.output_dir=out model.tokenizer=chars:abca",
	             "command line: model.tokenizer: ");
	assert_wrong("train from.yaml run.output_dir=out model.tokenizer=nowhere", "nowhere");
	assert_wrong("train from.yaml run.output_dir=out loss.beta=0.1 model.reference=cut-off",
	             "is it cut off?");
	assert_wrong("inspect cut-off", "is it cut off?");
}

static void command_lines_say_how_it_is_done(void **state)
{
	(void)state;
	ASSERT_ALL(wrong_lines);
}

static void an_old_run_is_neither_overwritten_nor_mixed(void **state)
{
	(void)state;
	size_t n, m;

	shell("cp -r good old");
	char *before = read_all("old/metrics.jsonl", &n);
	assert_wrong("sft good.yaml run.output_dir=old", "old holds a run already; add --resume");
	assert_wrong("sft good.yaml run.output_dir=old optim.learning_rate=0.5 run.seed=3 --resume",
	             "optim.learning_rate: 1e-06 -> 0.5\nrun.seed: 0 -> 3");
	assert_wrong("sft good.yaml run.output_dir=old 'data.generate=[{name: sequence, count: "
	             "11}]' --resume",
	             "data.generate");
	assert_wrong("train good.yaml run.output_dir=/dev/null/x", "/dev/null");
	assert_wrong("train good.yaml run.output_dir=good.yaml", "good.yaml");
	char *after = read_all("old/metrics.jsonl", &m);
	assert_true(n == m && !memcmp(before, after, n));
	assert_true(file_exists("old/checkpoint-2/manifest.json"));
	free(before);
	free(after);
}

/* Where it fails depends on the limit: the config, the moments (the largest file), the weights.
 * Never is there a checkpoint. (Without TensorBoard's events: they are larger than the weights.) */
static void a_full_disk_leaves_no_half_checkpoint(void **state)
{
	(void)state;
	static const int   blocks[] = {1, 16, 24, 36};
	static const char *parts[] = {"config.yaml", "model.safetensors", "optimizer.safetensors",
	                              "optimizer.safetensors"};

	for (int i = 0; i < 4; i++) {
		assert_int_equal(hone_on_small_disk(blocks[i], TRAIN("run.tensorboard=false")), 2);
		assert_says("stderr", "out/");
		assert_says("stderr", parts[i]);
		assert_says("stderr", "File too large");
		shell("test -z \"$(ls -d out/checkpoint-* 2>/dev/null)\"");
		assert_int_equal(hone(TRAIN("--resume")), 0);
		assert_true(file_exists("out/checkpoint-2/manifest.json"));
		shell("rm -r out");
	}
}

static void a_full_disk_spares_the_older_checkpoint(void **state)
{
	(void)state;
	assert_int_equal(hone(TRAIN("run.save_total_limit=1")), 0);
	assert_int_equal(
	        hone_on_small_disk(24, TRAIN("run.save_total_limit=1 run.max_steps=3 --resume")),
	        2);
	shell("test \"$(ls -d out/checkpoint-*)\" = out/checkpoint-2");
	assert_int_equal(hone(TRAIN("run.save_total_limit=1 run.max_steps=3 --resume")), 0);
	assert_says("stdout", "resumed from step 2");
	shell("rm -r out");
}

/* A bad row is answered with its line and the reason; the rows around it are answered as if it were
 * not there. */
static void a_bad_row_does_not_spoil_the_others(void **state)
{
	(void)state;
	static const struct {
		const char *line, *parts[5], *end;
	} rows[] = {
	        {"tokenize good < texts.jsonl",
	         {"{\"ids\": [", "{\"line\": 2, \"error\"", "{\"line\": 3, \"error\"",
	          "{\"ids\": ["},
	         "2 rows failed, the first in line 2"},
	        {"logprobs good < ids.jsonl",
	         {"{\"logprobs\": [", "{\"line\": 2, \"error\"", "{\"line\": 3, \"error\"",
	          "{\"line\": 4, \"error\"", "{\"logprobs\": ["},
	         "3 rows"},
	        {"detokenize good < ids.jsonl",
	         {"{\"text\": ", "{\"line\": 2, \"error\"", "{\"line\": 3, \"error\"",
	          "{\"line\": 4, \"error\"", "{\"text\": "},
	         "3 rows"},
	        {"score --task numeric < completions.jsonl",
	         {"{\"reward\": 1", "{\"line\": 2, \"error\"", "{\"line\": 3, \"error\"",
	          "{\"reward\": 0"},
	         "the first in line 2"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n;
		assert_wrong(rows[i].line, rows[i].end);
		char *answers = read_all("stdout", &n), *line = answers;
		for (int k = 0; k < 5 && rows[i].parts[k]; k++, line = strchr(line, '\n') + 1)
			if (strncmp(line, rows[i].parts[k], strlen(rows[i].parts[k])))
				fail_msg("hone %s: row %d is answered with %s, expected %s",
				         rows[i].line, k + 1, line, rows[i].parts[k]);
		assert_int_equal(*line, 0);
		free(answers);
	}
}

static void make_files(void)
{
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		write_text(files[i].name, files[i].text);
	write_text("from.yaml", "model: {path: good}\n" DATA TASK REST);
}

static int make_models(void **state)
{
	(void)state;
	make_files();
	assert_int_equal(hone("sft good.yaml run.output_dir=good"), 0);
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		shell("cp -r good/checkpoint-2 %s && cd %s && rm manifest.json && %s",
		      models[i].name, models[i].name, models[i].damage);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_good_one_is_good),
	        TEST(configs_name_the_line_and_the_key),
	        TEST(data_name_the_file_and_the_line),
	        TEST(models_name_the_key_or_the_tensor),
	        TEST(command_lines_say_how_it_is_done),
	        TEST(an_old_run_is_neither_overwritten_nor_mixed),
	        TEST(a_full_disk_leaves_no_half_checkpoint),
	        TEST(a_full_disk_spares_the_older_checkpoint),
	        TEST(a_bad_row_does_not_spoil_the_others),
	};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, make_models, NULL);
}
