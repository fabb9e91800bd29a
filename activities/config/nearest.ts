export { editDistance, nearestName } from '../../workflows/model/nearest.ts';
