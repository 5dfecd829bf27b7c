// All paths of a comparison, in the order of its rows.
import type { Path } from '../path.ts';
import { FURIWAKE_FULLNAT, FURIWAKE_GUE, FURIWAKE_IPIP, furiwakePath } from './furiwake.ts';
import { HAPROXY } from './haproxy.ts';
import { IPVS_DR, IPVS_NAT } from './ipvs.ts';
import { NFT_DNAT, NFT_FWD } from './nft.ts';
import { NGINX_STREAM } from './nginx-stream.ts';
import { NONE, ROUTING } from './without-balancer.ts';

export const PATHS: readonly Path[] = [
  NONE,
  furiwakePath('dsr', 'ring'),
  furiwakePath('nat', 'ring'),
  furiwakePath('dsr', 'tc'),
  furiwakePath('nat', 'tc'),
  FURIWAKE_FULLNAT,
  FURIWAKE_IPIP,
  FURIWAKE_GUE,
  furiwakePath('dsr', 'cap'),
  furiwakePath('nat', 'cap'),
  ROUTING,
  NFT_DNAT,
  NFT_FWD,
  HAPROXY,
  NGINX_STREAM,
  IPVS_DR,
  IPVS_NAT,
];
