// What a program imports to have both: they join weft's pipeline when this is imported.
import { jit } from 'weft';
import { doubleNegation } from './double-negation.ts';
import { fuseLinear } from './fuse-linear.ts';

jit.registerPass(doubleNegation, { before: 'common-subexpressions' });
jit.registerRewrite(fuseLinear, { after: 'double-negation' });

export { doubleNegation, fuseLinear };
