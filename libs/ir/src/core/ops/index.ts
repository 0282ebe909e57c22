// Registers every core operator, family by family.
import './elementwise.ts';
import './shape.ts';
import './indexing.ts';
import './contraction.ts';
import './window.ts';
import './algorithms.ts';
import './random.ts';
import './control-flow.ts';
import './collectives.ts';
