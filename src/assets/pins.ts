/**
 * The wheels that capstan uses, held to their bytes. The checksums are those that the packages' index states;
 * sizes and members were read from the wheels' own directories. To move to another version, change these
 * entries and the asset's name together.
 */
import type { PinnedAsset, PinnedWheel } from './types.js';

/** Version of TensorFlow whose C API the engine is written against. */
export const TENSORFLOW_VERSION = '2.21.0';

const alternative =
  'Or set CAPSTAN_LIBTENSORFLOW (or engine.libtensorflow in the configuration) to a directory that holds ' +
  'libtensorflow_cc and libtensorflow_framework of that version, such as an installed Python tensorflow package.';

const tensorflowLinuxX64Cpu: PinnedWheel = {
  package: 'tensorflow-cpu',
  version: '2.21.0',
  file: 'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl',
  sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
  bytes: 273_829_956,
  members: ['tensorflow/libtensorflow_framework.so.2', 'tensorflow/libtensorflow_cc.so.2'],
  extractedBytes: 853_308_936,
};

const tensorflowLinuxX64Cuda: PinnedWheel = {
  package: 'tensorflow',
  version: '2.21.0',
  file: 'tensorflow-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl',
  sha256: '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124',
  bytes: 572_440_367,
  members: ['tensorflow/libtensorflow_framework.so.2', 'tensorflow/libtensorflow_cc.so.2'],
  extractedBytes: 1_259_021_080,
};

const tensorflowLinuxArm64: PinnedWheel = {
  package: 'tensorflow',
  version: '2.21.0',
  file: 'tensorflow-2.21.0-cp311-cp311-manylinux_2_27_aarch64.whl',
  sha256: '4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c',
  bytes: 281_828_020,
  members: ['tensorflow/libtensorflow_framework.so.2', 'tensorflow/libtensorflow_cc.so.2'],
  extractedBytes: 883_062_208,
};

const tensorflowMacArm64: PinnedWheel = {
  package: 'tensorflow',
  version: '2.21.0',
  file: 'tensorflow-2.21.0-cp311-cp311-macosx_12_0_arm64.whl',
  sha256: '51f46f4806139d01fc7920cc72a4c75876f80649bf40ff083ab6212ceb43ca88',
  bytes: 223_405_849,
  members: ['tensorflow/libtensorflow_framework.2.dylib', 'tensorflow/libtensorflow_cc.2.dylib'],
  extractedBytes: 740_805_624,
};

/**
 * CUDA 12.9 with cuDNN 9.10 and NCCL 2.27: within the ranges that tensorflow[and-cuda] 2.21.0 asks for, and
 * new enough for every architecture up to compute capability 12.0. Each wheel comes after those whose
 * libraries it loads.
 */
const cudaLinuxX64: readonly PinnedWheel[] = [
  {
    package: 'nvidia-cuda-runtime-cu12',
    version: '12.9.79',
    file: 'nvidia_cuda_runtime_cu12-12.9.79-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    sha256: '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3',
    bytes: 3_493_179,
    members: ['nvidia/cuda_runtime/lib/libcudart.so.12'],
    extractedBytes: 741_088,
  },
  {
    package: 'nvidia-nvjitlink-cu12',
    version: '12.9.86',
    file: 'nvidia_nvjitlink_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    sha256: 'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9',
    bytes: 39_748_338,
    members: ['nvidia/nvjitlink/lib/libnvJitLink.so.12'],
    extractedBytes: 95_935_344,
  },
  {
    package: 'nvidia-cuda-nvrtc-cu12',
    version: '12.9.86',
    file: 'nvidia_cuda_nvrtc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    sha256: '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4',
    bytes: 89_568_129,
    members: ['nvidia/cuda_nvrtc/lib/libnvrtc.so.12', 'nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.9'],
    extractedBytes: 113_447_240,
  },
  {
    package: 'nvidia-cublas-cu12',
    version: '12.9.3.13',
    file: 'nvidia_cublas_cu12-12.9.3.13-py3-none-manylinux_2_27_x86_64.whl',
    sha256: 'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72',
    bytes: 581_217_458,
    members: ['nvidia/cublas/lib/libcublasLt.so.12', 'nvidia/cublas/lib/libcublas.so.12'],
    extractedBytes: 854_310_592,
  },
  {
    package: 'nvidia-cufft-cu12',
    version: '11.4.1.4',
    file: 'nvidia_cufft_cu12-11.4.1.4-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    sha256: 'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28',
    bytes: 200_877_592,
    members: ['nvidia/cufft/lib/libcufft.so.11'],
    extractedBytes: 291_507_928,
  },
  {
    package: 'nvidia-cusparse-cu12',
    version: '12.5.10.65',
    file: 'nvidia_cusparse_cu12-12.5.10.65-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    sha256: '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78',
    bytes: 366_465_088,
    members: ['nvidia/cusparse/lib/libcusparse.so.12'],
    extractedBytes: 486_556_368,
  },
  {
    package: 'nvidia-cusolver-cu12',
    version: '11.7.5.82',
    file: 'nvidia_cusolver_cu12-11.7.5.82-py3-none-manylinux_2_27_x86_64.whl',
    sha256: '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88',
    bytes: 338_117_415,
    members: ['nvidia/cusolver/lib/libcusolver.so.11'],
    extractedBytes: 302_024_152,
  },
  {
    package: 'nvidia-cudnn-cu12',
    version: '9.10.2.21',
    file: 'nvidia_cudnn_cu12-9.10.2.21-py3-none-manylinux_2_27_x86_64.whl',
    sha256: '949452be657fa16687d0930933f032835951ef0892b37d2d53824d1a84dc97a8',
    bytes: 706_758_467,
    members: [
      'nvidia/cudnn/lib/libcudnn.so.9',
      'nvidia/cudnn/lib/libcudnn_adv.so.9',
      'nvidia/cudnn/lib/libcudnn_cnn.so.9',
      'nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9',
      'nvidia/cudnn/lib/libcudnn_engines_runtime_compiled.so.9',
      'nvidia/cudnn/lib/libcudnn_graph.so.9',
      'nvidia/cudnn/lib/libcudnn_heuristic.so.9',
      'nvidia/cudnn/lib/libcudnn_ops.so.9',
    ],
    extractedBytes: 1_053_232_960,
  },
  {
    package: 'nvidia-nccl-cu12',
    version: '2.27.7',
    file: 'nvidia_nccl_cu12-2.27.7-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    sha256: 'de5ba5562f08029a19cb1cd659404b18411ed0d6c90ac5f52f30bf99ad5809aa',
    bytes: 322_546_339,
    members: ['nvidia/nccl/lib/libnccl.so.2'],
    extractedBytes: 430_126_192,
  },
  {
    package: 'nvidia-cuda-cupti-cu12',
    version: '12.9.79',
    file: 'nvidia_cuda_cupti_cu12-12.9.79-py3-none-manylinux_2_25_x86_64.whl',
    sha256: '096bcf334f13e1984ba36685ad4c1d6347db214de03dbb6eebb237b41d9d934f',
    bytes: 10_814_997,
    members: ['nvidia/cuda_cupti/lib/libcupti.so.12'],
    extractedBytes: 7_604_800,
  },
  {
    package: 'nvidia-cuda-nvcc-cu12',
    version: '12.9.86',
    file: 'nvidia_cuda_nvcc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    sha256: '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0',
    bytes: 40_546_229,
    members: ['nvidia/cuda_nvcc/bin/ptxas', 'nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc'],
    extractedBytes: 35_417_224,
  },
];

const openClip: PinnedWheel = {
  package: 'open_clip_torch',
  version: '3.3.0',
  file: 'open_clip_torch-3.3.0-py3-none-any.whl',
  sha256: 'c549ad5ed6bfc119cc11105033c0a2b9d7a2a4afeb40a58a09aab3da1a0043ce',
  bytes: 1_547_268,
  members: ['open_clip/bpe_simple_vocab_16e6.txt.gz', 'open_clip/zero_shot_metadata.py'],
  extractedBytes: 1_376_162,
};

/** Platforms for which TensorFlow is pinned, as `process.platform`-`process.arch`. */
export type TensorflowPlatform = 'linux-x64' | 'linux-arm64' | 'darwin-arm64';

/** TensorFlow's CPU libraries per platform. On linux-arm64 and darwin-arm64 there is no CUDA build. */
export const tensorflowCpu: Readonly<Record<TensorflowPlatform, PinnedAsset>> = {
  'linux-x64': {
    name: 'tensorflow-cpu-2.21.0-linux-x64',
    title: 'TensorFlow 2.21.0 for CPU',
    wheels: [tensorflowLinuxX64Cpu],
    alternative,
  },
  'linux-arm64': {
    name: 'tensorflow-2.21.0-linux-arm64',
    title: 'TensorFlow 2.21.0 for CPU',
    wheels: [tensorflowLinuxArm64],
    alternative,
  },
  'darwin-arm64': {
    name: 'tensorflow-2.21.0-darwin-arm64',
    title: 'TensorFlow 2.21.0 for CPU',
    wheels: [tensorflowMacArm64],
    alternative,
  },
};

/** TensorFlow with the CUDA libraries that it loads, for linux-x64. */
export const tensorflowCuda: PinnedAsset = {
  name: 'tensorflow-2.21.0-cuda12.9-linux-x64',
  title: 'TensorFlow 2.21.0 with CUDA 12.9',
  wheels: [tensorflowLinuxX64Cuda, ...cudaLinuxX64],
  alternative,
};

/** The text files of open_clip that its models are defined by: BPE merges, prompt templates, class names. */
export const openClipText: PinnedAsset = {
  name: 'open-clip-3.3.0-text',
  title: "open_clip 3.3.0's tokenizer and prompts",
  wheels: [openClip],
};
