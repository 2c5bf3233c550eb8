/**
 * tfjs 4.22 (`@tensorflow/tfjs`) as it is: tensors, operations, gradients (`tf.valueAndGrads`), `tf.tidy`, `tf.memory`. Its
 * reference is https://js.tensorflow.org/api/latest/. After {@link startEngine} its operations run on TensorFlow's
 * native library, and within {@link compile} they are recorded. Take `tf` from capstan, not from the package, so that there
 * is one tfjs in the process.
 *
 * Not everything in it fits: variables that compiled functions update are made by {@link createVariable} instead of
 * `tf.variable`, random numbers that they draw by {@link randomNormal} and {@link randomUniform}.
 *
 * @module tf
 */

export * from '@tensorflow/tfjs';
