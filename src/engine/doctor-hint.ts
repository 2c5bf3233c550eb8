/** Where more is to be learnt: the end of errors that the doctor explains. */
export const DOCTOR_HINT = ' Run `npx capstan doctor` to see what this machine lacks.';

/** An error's message as the doctor says it, who is running already. */
export function withoutDoctorHint(message: string): string {
  return message.replaceAll(DOCTOR_HINT, '');
}
