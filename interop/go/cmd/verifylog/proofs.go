package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/checkpoint"
	"kiln.example/interop/internal/source"
	"kiln.example/interop/internal/tlogproof"
)

// authenticated is how many indices are proved through tlog's TileHashReader as well. It checks
// all its tiles anew for each proof, too slow to do it for all.
const authenticated = 64

// prover makes proofs from the log's tiles, with tlog and with Tessera. For one goroutine.
type prover struct {
	tree    tlog.Tree
	hashes  *source.Hashes
	tessera *client.ProofBuilder
}

func (a *audit) prover(ctx context.Context) (prover, error) {
	builder, err := client.NewProofBuilder(ctx, uint64(a.cp.Tree.N), a.log.ReadTile)
	return prover{a.cp.Tree, a.log.Hashes(ctx, a.cp.Tree.N), builder}, err
}

// proveInclusions shares the indices out to one worker per core, in runs of neighbours.
func (a *audit) proveInclusions(ctx context.Context) error {
	indices := spread(a.cp.Tree.N, a.sample)
	workers := runtime.NumCPU()
	faults := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		part := indices[len(indices)*w/workers : len(indices)*(w+1)/workers]
		group.Add(1)
		go func() {
			defer group.Done()
			faults[w] = a.proveEach(ctx, part)
		}()
	}
	group.Wait()
	a.counts.inclusions = int64(len(indices))
	return errors.Join(append(faults, a.proveAuthenticated(ctx))...)
}

func (a *audit) proveEach(ctx context.Context, indices []int64) error {
	prover, err := a.prover(ctx)
	if err != nil {
		return err
	}
	for _, index := range indices {
		if err := prover.inclusion(ctx, index, a.tree.LeafHash(index)); err != nil {
			return fmt.Errorf("inclusion proof of index %d: %w", index, err)
		}
	}
	return nil
}

func (p prover) inclusion(ctx context.Context, index int64, leaf tlog.Hash) error {
	ours, err := tlog.ProveRecord(p.tree.N, index, p.hashes)
	if err != nil {
		return fmt.Errorf("tlog: %w", err)
	}
	if err := tlog.CheckRecord(ours, p.tree.N, p.tree.Hash, index, leaf); err != nil {
		return fmt.Errorf("tlog: %w", err)
	}
	theirs, err := p.tessera.InclusionProof(ctx, uint64(index))
	if err != nil {
		return fmt.Errorf("tessera: %w", err)
	}
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(p.tree.N), leaf[:], theirs, p.tree.Hash[:])
	if err != nil {
		return fmt.Errorf("tessera: %w", err)
	}
	return sameProof(ours, theirs)
}

func sameProof(ours []tlog.Hash, theirs [][]byte) error {
	if !slices.EqualFunc(tlogproof.Slices(ours), theirs, bytes.Equal) {
		return errors.New("tlog and tessera make different proofs")
	}
	return nil
}

func (a *audit) proveAuthenticated(ctx context.Context) error {
	reader := tlog.TileHashReader(a.cp.Tree, a.log.Tiles(ctx))
	for _, index := range spread(a.cp.Tree.N, authenticated) {
		hashes, err := tlog.ProveRecord(a.cp.Tree.N, index, reader)
		if err == nil {
			err = tlog.CheckRecord(hashes, a.cp.Tree.N, a.cp.Tree.Hash, index, a.tree.LeafHash(index))
		}
		if err != nil {
			return fmt.Errorf("inclusion proof of index %d through TileHashReader: %w", index, err)
		}
	}
	return nil
}

func (a *audit) proveConsistencies(ctx context.Context) error {
	prover, err := a.prover(ctx)
	if err != nil {
		return err
	}
	for _, size := range earlierSizes(a.cp.Tree.N) {
		root, err := a.tree.Root(size)
		if err != nil {
			return err
		}
		if err := prover.consistency(ctx, tlog.Tree{N: size, Hash: root}); err != nil {
			return fmt.Errorf("consistency proof from size %d: %w", size, err)
		}
		a.counts.consistencies++
	}
	return nil
}

func (p prover) consistency(ctx context.Context, old tlog.Tree) error {
	ours, err := tlog.ProveTree(p.tree.N, old.N, p.hashes)
	if err != nil {
		return fmt.Errorf("tlog: %w", err)
	}
	if err := tlog.CheckTree(ours, p.tree.N, p.tree.Hash, old.N, old.Hash); err != nil {
		return fmt.Errorf("tlog: %w", err)
	}
	theirs, err := p.tessera.ConsistencyProof(ctx, uint64(old.N), uint64(p.tree.N))
	if err != nil {
		return fmt.Errorf("tessera: %w", err)
	}
	err = proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old.N), uint64(p.tree.N), theirs, old.Hash[:], p.tree.Hash[:])
	if err != nil {
		return fmt.Errorf("tessera: %w", err)
	}
	return sameProof(ours, theirs)
}

// checkEarlier proves each checkpoint in the folder a.earlier consistent with the log's own.
func (a *audit) checkEarlier(ctx context.Context) error {
	if a.earlier == "" {
		return nil
	}
	files, err := os.ReadDir(a.earlier)
	if err != nil {
		return err
	}
	prover, err := a.prover(ctx)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := a.checkEarlierFile(ctx, prover, filepath.Join(a.earlier, file.Name())); err != nil {
			return fmt.Errorf("earlier checkpoint %s: %w", file.Name(), err)
		}
		a.counts.earlier++
	}
	return nil
}

func (a *audit) checkEarlierFile(ctx context.Context, prover prover, file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	cp, err := checkpoint.Open(raw, a.verifier)
	if err != nil {
		return err
	}
	if cp.Origin != a.cp.Origin {
		return fmt.Errorf("its origin is %q", cp.Origin)
	}
	if cp.Tree.N == 0 || cp.Tree.N > a.cp.Tree.N {
		return fmt.Errorf("size %d is not between 1 and %d", cp.Tree.N, a.cp.Tree.N)
	}
	if err := prover.consistency(ctx, cp.Tree); err != nil {
		return err
	}
	return a.followFrom(ctx, raw)
}

// followFrom goes from an earlier checkpoint to the log's own as Tessera's client does.
func (a *audit) followFrom(ctx context.Context, earlier []byte) error {
	consensus := client.UnilateralConsensus(a.log.ReadCheckpoint)
	tracker, err := client.NewLogStateTracker(ctx, a.log.ReadTile, earlier, a.verifier, a.cp.Origin, consensus)
	if err != nil {
		return fmt.Errorf("tessera's tracker: %w", err)
	}
	if _, _, _, err := tracker.Update(ctx); err != nil {
		return fmt.Errorf("tessera's tracker: %w", err)
	}
	if got := tracker.Latest(); got.Size != uint64(a.cp.Tree.N) || !bytes.Equal(got.Hash, a.cp.Tree.Hash[:]) {
		return fmt.Errorf("tessera's tracker ends at size %d, not %d", got.Size, a.cp.Tree.N)
	}
	return nil
}

// spread returns about n indices below size, the first and the last among them; all if n is 0.
func spread(size, n int64) []int64 {
	if n <= 0 || n > size {
		n = size
	}
	indices := make([]int64, 0, n)
	for i := range n {
		index := size - 1
		if n > 1 {
			index = i * (size - 1) / (n - 1)
		}
		indices = append(indices, index)
	}
	return indices
}

// earlierSizes are those around which trees change their shape, and some between.
func earlierSizes(size int64) []int64 {
	var sizes []int64
	for power := int64(1); power <= size; power *= 2 {
		sizes = append(sizes, power-1, power, power+1)
	}
	for _, index := range spread(size, 100) {
		sizes = append(sizes, index, index+1)
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	return slices.DeleteFunc(sizes, func(n int64) bool { return n < 1 || n > size })
}
