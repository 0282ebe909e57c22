// The planner that schedulers use unless they are given another: plans the model description that a job carries, or takes
// the ready plan that it brings for the number of devices.
import { planDescription } from '../plan/description.ts';
import type { ModelDescription } from '../plan/description.ts';
import { PlanError } from '../plan/mesh.ts';
import type { Plan } from '../plan/program.ts';
import type { SchedulerPlanner } from './shell.ts';

/** Plans made beforehand; the largest that fits the devices is taken. */
export interface ReadyPlans {
  readonly kind: 'plans';
  readonly plans: readonly Plan[];
}

export const descriptionPlanner: SchedulerPlanner = (job, devices) => {
  const model = job.model as ModelDescription | ReadyPlans;
  if (model.kind !== 'plans') return planDescription(model, devices.length);
  const [largest] = model.plans
    .filter(({ programs }) => programs.length <= devices.length)
    .sort((a, b) => b.programs.length - a.programs.length);
  if (largest === undefined)
    throw new PlanError(
      `job '${job.id}' brings plans for ${model.plans.map(({ programs }) => programs.length).join(', ')} devices; ` +
        `${devices.length} are free`,
    );
  return largest;
};
