// The planner that schedulers use unless they are given another: plans the model description that a job carries.
import { planDescription } from '../plan/description.ts';
import type { ModelDescription } from '../plan/description.ts';
import type { SchedulerPlanner } from './shell.ts';

export const descriptionPlanner: SchedulerPlanner = (job, devices) =>
  planDescription(job.model as ModelDescription, devices.length);
