import Testing

@testable import Training

@Suite struct HeldOutSplitTests {
    @Test func shuffledPicturesTrainOrMeasureAndNeverBoth() throws {
        for count in 15...200 {
            let split = try HeldOutSplit.shuffled(count: count, seed: UInt64(count))
            #expect((split.training + split.heldOut).sorted() == Array(0..<count), "\(count) pictures")
            #expect(split.training == split.training.sorted() && split.heldOut == split.heldOut.sorted())
            #expect(split.unusedCount == 0)
            #expect(split.training.count >= 10 && split.heldOut.count >= 5, "\(count) pictures")
        }
    }

    @Test func fifteenPercentMeasureOnceThatIsMoreThanFive() throws {
        for (count, heldOut) in [(15, 5), (36, 5), (37, 6), (100, 15), (200, 30), (229, 34)] {
            #expect(try HeldOutSplit.shuffled(count: count, seed: 1).heldOut.count == heldOut, "\(count) pictures")
            #expect(try HeldOutSplit.timeBlocks(count: count + 20).heldOut.count >= heldOut)
        }
    }

    @Test func theSeedDecidesWhichPicturesMeasure() throws {
        let split = try HeldOutSplit.shuffled(count: 100, seed: 42)
        #expect(try HeldOutSplit.shuffled(count: 100, seed: 42) == split)
        #expect(try HeldOutSplit.shuffled(count: 100, seed: 43) != split)
    }

    /// A generous bound on a seeded draw: each of 20 pictures is chosen 250 times in 1,000 on average.
    @Test func everyPictureIsAsLikelyToMeasure() throws {
        var chosen = [Int](repeating: 0, count: 20)
        for seed in UInt64(0)..<1000 {
            for position in try HeldOutSplit.shuffled(count: 20, seed: seed).heldOut { chosen[position] += 1 }
        }
        #expect(chosen.allSatisfy { (190...310).contains($0) }, "\(chosen)")
    }

    @Test func aRecordingGivesThreeContiguousBlocksAndNoTrainingFrameBesideThem() throws {
        for count in Array(20...200) + [1000, 12_345] {
            let split = try HeldOutSplit.timeBlocks(count: count)
            let gap = max(1, count / 100)
            let starts = split.heldOut.filter { !split.heldOut.contains($0 - 1) }
            #expect(starts.count == 3, "\(count) frames: blocks at \(starts)")
            #expect(split.heldOut == split.heldOut.sorted() && split.training == split.training.sorted())
            #expect(Set(split.training).isDisjoint(with: split.heldOut))
            #expect(split.heldOut.allSatisfy { (0..<count).contains($0) })

            let near = Set(split.heldOut.flatMap { ($0 - gap)...($0 + gap) })
            #expect(split.training.allSatisfy { !near.contains($0) }, "\(count) frames")
            // Nothing is wasted: whatever is far enough from the blocks trains.
            #expect(split.training.count == (0..<count).filter { !near.contains($0) }.count, "\(count) frames")
            #expect(split.unusedCount == count - split.training.count - split.heldOut.count)
            #expect(split.training.count >= 10 && split.heldOut.count >= 5, "\(count) frames")
        }
    }

    @Test func everyThirdOfARecordingBothTrainsAndMeasures() throws {
        let split = try HeldOutSplit.timeBlocks(count: 600)
        for third in [0..<200, 200..<400, 400..<600] {
            #expect(split.heldOut.filter(third.contains).count == 30)
            #expect(split.training.filter(third.contains).count >= 150)
        }
    }

    /// The number in the message is the number that is enough.
    @Test func tooFewPicturesAreRefusedWithTheNumberThatIsNeeded() {
        for count in 0..<20 {
            #expect(throws: TrainingDataError.tooFewPictures(found: count, needed: 20)) {
                try HeldOutSplit.timeBlocks(count: count)
            }
        }
        for count in 0..<15 {
            #expect(throws: TrainingDataError.tooFewPictures(found: count, needed: 15)) {
                try HeldOutSplit.shuffled(count: count, seed: 1)
            }
        }
        for count in 0..<10 {
            #expect(throws: TrainingDataError.tooFewTrainingPictures(found: count, needed: 10)) {
                try HeldOutSplit.everythingTrains(count: count)
            }
        }
    }

    @Test func everythingTrainsWhereAnotherSetMeasures() throws {
        let split = try HeldOutSplit.everythingTrains(count: 10)
        #expect(split.training == Array(0..<10) && split.heldOut.isEmpty && split.unusedCount == 0)
    }

    @Test func theErrorsSayWhatWasFoundAndWhatToDo() {
        #expect(
            TrainingDataError.tooFewPictures(found: 14, needed: 15).description == """
                found 14 usable pictures of good parts, but at least 15 are needed, since some of them are held out to \
                measure the result; record more good parts
                """)
        #expect(
            TrainingDataError.tooFewCalibrationPictures(found: 4, needed: 5).description == """
                found 4 usable pictures to calibrate with, but at least 5 are needed; add pictures of good parts that \
                are not used for training
                """)
    }
}
