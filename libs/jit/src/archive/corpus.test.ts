// A sample of the recorded cases, some of every family: archives that PyTorch wrote give PyTorch's outputs, errors, gradients
// and training runs; and they do so again after a round trip through our own writer.
import { describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { load, runCase, saveToBytes } from './index.ts';

// The corpus stands beside the repository; without it there is nothing to compare with.
const cases = join(__dirname, '../../../../../shared/torchscript/cases');
const sample = `
activations/relu_family aliasing/views_share_memory attention/scaled_dot_product autograd/grad_inside
autograd/parameters_require_gradients classes/interface_of_modules classes/linked_list_by_index classes/property_getter_and_setter
classes/static_method collections/tolist_wrong_type control/fork_and_wait control/with_no_grad
demo/cell_scripted errors/raise_user_exception indexing/boolean_masks models/decision_tree_ensemble
models/unet_scripted modules/attributes_of_every_type modules/extra_files modules/forked_submodules
modules/freeze modules/hooks modules/module_dict modules/optional_submodule modules/shared_parameter
modules/state_across_calls modules/state_dict_hooks_get_set_state modules/traced_with_several_methods
norm/batch_norm1d_eval numbers/bit_operations pooling/max_pool2d rnn/lstm_single strings/caesar_cipher
training/linear_regression_adam training/mlp_traced_adam types/enum_attribute types/named_tuple types/named_tuple_list_and_dict
types/union_isinstance types/union_local types/wrong_argument_count
`
  .trim()
  .split(/\s+/);
// Without an archive: programs that make random numbers, and some that do not compile.
const programs = `
random/default_init_attention random/generator_state_restored random/rand_non_contiguous random/trunc_normal
rejected/augmented_floor_division rejected/comprehension_if rejected/mutual_recursion rejected/type_change_in_loop
rejected/variable_arguments
`
  .trim()
  .split(/\s+/);
// These states change when they are saved and loaded, as their __getstate__ says.
const roundTrips = sample.filter((name) => name !== 'modules/state_dict_hooks_get_set_state');

(existsSync(cases) ? describe : describe.skip)('recorded cases', () => {
  test.each(sample)('%s', (name) => {
    expect(runCase(join(cases, name)).failures).toEqual([]);
  });
  test.each(programs)('%s', (name) => {
    expect(runCase(join(cases, name))).toEqual({ passed: true, failures: [] });
  });
  test.each(roundTrips)('%s after a round trip', (name) => {
    const open = (path: string) => load(saveToBytes(load(path)));
    expect(runCase(join(cases, name), { open }).failures).toEqual([]);
  });
  test('what does not agree is named', () => {
    const open = () => load(join(cases, 'types/named_tuple/model.pt'));
    expect(runCase(join(cases, 'modules/module_dict'), { open }).passed).toBe(false);
  });
});
