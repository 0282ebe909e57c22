// Host operators: what ints, floats, strings, lists, dicts, tuples and the like do. Importing this registers them.
import './arithmetic.ts';
import './math.ts';
import './conversion.ts';
import './lists.ts';
import './dicts.ts';
import './strings.ts';
import './format.ts';
import './objects.ts';

export { HostError } from './error.ts';
export { floorDivide, floorModulo } from './arithmetic.ts';
export { format, percentFormat } from './format.ts';
export { hashValue } from './conversion.ts';
export { compareValues, formatFloat, formatValue, sameObject, valuesEqual, wrap } from './values.ts';
export { lgamma } from './special.ts';
export { copyList, listPosition, slicePositions } from './lists.ts';
