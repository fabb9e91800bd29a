;; Page checksums of PostgreSQL (manual 28.2; src/include/storage/checksum_impl.h): a page is a table of 32-bit words with
;; 32 columns; each column has an FNV-1a sum of its own, and the sums are folded together. Here four columns stand in a
;; vector. `npm run assemble` makes page-checksum-code.ts of this file.
(module
  (memory (export "memory") 1 65536)

  ;; Checks pages that stand back to back at $page. The number of each whose checksum is wrong goes to the list at $out, as
  ;; 32-bit words; returns how many there are. New pages have no checksum. Pages whose LSN is at or beyond $since may be half
  ;; written, and replay writes them anew: they are passed over, and the highest of their LSNs is left in $newest.
  (global $newest (export "newest") (mut i64) (i64.const 0))
  (func (export "check") (param $page i32) (param $pages i32) (param $block i32) (param $bytes i32) (param $since i64) (param $out i32) (result i32)
    (local $found i32) (local $lsn i64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $pages)))
        (if (i32.load16_u offset=14 (local.get $page)) ;; pd_upper: 0 on a new page
          (then
            ;; pd_lsn: the upper half comes first
            (local.set $lsn (i64.rotl (i64.load (local.get $page)) (i64.const 32)))
            (if (i64.ge_u (local.get $lsn) (local.get $since))
              (then
                (if (i64.gt_u (local.get $lsn) (global.get $newest)) (then (global.set $newest (local.get $lsn)))))
              (else
                (if (i32.ne (i32.load16_u offset=8 (local.get $page)) (call $sum (local.get $page) (local.get $block) (local.get $bytes)))
                  (then
                    (i32.store (i32.add (local.get $out) (i32.shl (local.get $found) (i32.const 2))) (local.get $block))
                    (local.set $found (i32.add (local.get $found) (i32.const 1)))))))))
        (local.set $page (i32.add (local.get $page) (local.get $bytes)))
        (local.set $block (i32.add (local.get $block) (i32.const 1)))
        (local.set $pages (i32.sub (local.get $pages) (i32.const 1)))
        (br $next)))
    (local.get $found))

  ;; The checksum that a page must have as block $block of its relation.
  (func $sum (param $page i32) (param $block i32) (param $bytes i32) (result i32)
    (local $stated i32) (local $at i32) (local $end i32) (local $word v128) (local $prime v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128) (local $s4 v128) (local $s5 v128) (local $s6 v128) (local $s7 v128)
    (local.set $prime (i32x4.splat (i32.const 16777619)))
    (local.set $s0 (v128.const i32x4 0x5B1F36E9 0xB8525960 0x02AB50AA 0x1DE66D2A))
    (local.set $s1 (v128.const i32x4 0x79FF467A 0x9BB9F8A3 0x217E7CD2 0x83E13D2C))
    (local.set $s2 (v128.const i32x4 0xF8D4474F 0xE39EB970 0x42C6AE16 0x993216FA))
    (local.set $s3 (v128.const i32x4 0x7B093B5D 0x98DAFF3C 0xF718902A 0x0B1C9CDB))
    (local.set $s4 (v128.const i32x4 0xE58F764B 0x187636BC 0x5D7B3BB1 0xE73DE7DE))
    (local.set $s5 (v128.const i32x4 0x92BEC979 0xCCA6C0B2 0x304A0979 0x85AA43D4))
    (local.set $s6 (v128.const i32x4 0x783125BB 0x6CA8EAA2 0xE407EAC6 0x4B5CFC3E))
    (local.set $s7 (v128.const i32x4 0x9FBF8C76 0x15CA20BE 0xF2CA9FD3 0x959BD756))
    ;; pd_checksum counts as zero
    (local.set $stated (i32.load16_u offset=8 (local.get $page)))
    (i32.store16 offset=8 (local.get $page) (i32.const 0))
    (local.set $at (local.get $page))
    (local.set $end (i32.add (local.get $page) (local.get $bytes)))
    (loop $row
      (local.set $word (v128.xor (local.get $s0) (v128.load offset=0 (local.get $at))))
      (local.set $s0 (v128.xor (i32x4.mul (local.get $word) (local.get $prime)) (i32x4.shr_u (local.get $word) (i32.const 17))))
      (local.set $word (v128.xor (local.get $s1) (v128.load offset=16 (local.get $at))))
      (local.set $s1 (v128.xor (i32x4.mul (local.get $word) (local.get $prime)) (i32x4.shr_u (local.get $word) (i32.const 17))))
      (local.set $word (v128.xor (local.get $s2) (v128.load offset=32 (local.get $at))))
      (local.set $s2 (v128.xor (i32x4.mul (local.get $word) (local.get $prime)) (i32x4.shr_u (local.get $word) (i32.const 17))))
      (local.set $word (v128.xor (local.get $s3) (v128.load offset=48 (local.get $at))))
      (local.set $s3 (v128.xor (i32x4.mul (local.get $word) (local.get $prime)) (i32x4.shr_u (local.get $word) (i32.const 17))))
      (local.set $word (v128.xor (local.get $s4) (v128.load offset=64 (local.get $at))))
      (local.set $s4 (v128.xor (i32x4.mul (local.get $word) (local.get $prime)) (i32x4.shr_u (local.get $word) (i32.const 17))))
      (local.set $word (v128.xor (local.get $s5) (v128.load offset=80 (local.get $at))))
      (local.set $s5 (v128.xor (i32x4.mul (local.get $word) (local.get $prime)) (i32x4.shr_u (local.get $word) (i32.const 17))))
      (local.set $word (v128.xor (local.get $s6) (v128.load offset=96 (local.get $at))))
      (local.set $s6 (v128.xor (i32x4.mul (local.get $word) (local.get $prime)) (i32x4.shr_u (local.get $word) (i32.const 17))))
      (local.set $word (v128.xor (local.get $s7) (v128.load offset=112 (local.get $at))))
      (local.set $s7 (v128.xor (i32x4.mul (local.get $word) (local.get $prime)) (i32x4.shr_u (local.get $word) (i32.const 17))))
      (br_if $row (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 128))) (local.get $end))))
    (i32.store16 offset=8 (local.get $page) (local.get $stated))
    ;; two rounds of zeros mix the last words in
    (local.set $s0 (v128.xor (i32x4.mul (local.get $s0) (local.get $prime)) (i32x4.shr_u (local.get $s0) (i32.const 17))))
    (local.set $s1 (v128.xor (i32x4.mul (local.get $s1) (local.get $prime)) (i32x4.shr_u (local.get $s1) (i32.const 17))))
    (local.set $s2 (v128.xor (i32x4.mul (local.get $s2) (local.get $prime)) (i32x4.shr_u (local.get $s2) (i32.const 17))))
    (local.set $s3 (v128.xor (i32x4.mul (local.get $s3) (local.get $prime)) (i32x4.shr_u (local.get $s3) (i32.const 17))))
    (local.set $s4 (v128.xor (i32x4.mul (local.get $s4) (local.get $prime)) (i32x4.shr_u (local.get $s4) (i32.const 17))))
    (local.set $s5 (v128.xor (i32x4.mul (local.get $s5) (local.get $prime)) (i32x4.shr_u (local.get $s5) (i32.const 17))))
    (local.set $s6 (v128.xor (i32x4.mul (local.get $s6) (local.get $prime)) (i32x4.shr_u (local.get $s6) (i32.const 17))))
    (local.set $s7 (v128.xor (i32x4.mul (local.get $s7) (local.get $prime)) (i32x4.shr_u (local.get $s7) (i32.const 17))))
    (local.set $s0 (v128.xor (i32x4.mul (local.get $s0) (local.get $prime)) (i32x4.shr_u (local.get $s0) (i32.const 17))))
    (local.set $s1 (v128.xor (i32x4.mul (local.get $s1) (local.get $prime)) (i32x4.shr_u (local.get $s1) (i32.const 17))))
    (local.set $s2 (v128.xor (i32x4.mul (local.get $s2) (local.get $prime)) (i32x4.shr_u (local.get $s2) (i32.const 17))))
    (local.set $s3 (v128.xor (i32x4.mul (local.get $s3) (local.get $prime)) (i32x4.shr_u (local.get $s3) (i32.const 17))))
    (local.set $s4 (v128.xor (i32x4.mul (local.get $s4) (local.get $prime)) (i32x4.shr_u (local.get $s4) (i32.const 17))))
    (local.set $s5 (v128.xor (i32x4.mul (local.get $s5) (local.get $prime)) (i32x4.shr_u (local.get $s5) (i32.const 17))))
    (local.set $s6 (v128.xor (i32x4.mul (local.get $s6) (local.get $prime)) (i32x4.shr_u (local.get $s6) (i32.const 17))))
    (local.set $s7 (v128.xor (i32x4.mul (local.get $s7) (local.get $prime)) (i32x4.shr_u (local.get $s7) (i32.const 17))))
    (local.set $word
      (v128.xor
        (v128.xor (v128.xor (local.get $s0) (local.get $s1)) (v128.xor (local.get $s2) (local.get $s3)))
        (v128.xor (v128.xor (local.get $s4) (local.get $s5)) (v128.xor (local.get $s6) (local.get $s7)))))
    (i32.add
      (i32.rem_u
        (i32.xor
          (local.get $block)
          (i32.xor
            (i32.xor (i32x4.extract_lane 0 (local.get $word)) (i32x4.extract_lane 1 (local.get $word)))
            (i32.xor (i32x4.extract_lane 2 (local.get $word)) (i32x4.extract_lane 3 (local.get $word)))))
        (i32.const 65535))
      (i32.const 1))))
