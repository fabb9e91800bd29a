/** What the set-up builds for the tests. The versions of the local stack stand in temporal-dev.yml. */
export const VERSITYGW_VERSION = '1.7.0';
export const PYTHON_PACKAGES = ['cryptography==50.0.2', 'zstandard==0.25.0'] as const;
/** A simulator of AWS for the tests of the switches that speak to it. */
export const MOTO_PACKAGES = ['moto[server]==5.2.5'] as const;
