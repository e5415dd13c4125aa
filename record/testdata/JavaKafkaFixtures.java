// Writes record batches with Kafka's own Java client, as fixtures for record/foreign_batches_test.cc,
// and reads batches of ours with it. By hand only: it needs kafka-clients and its codecs on the
// class path (made with kafka-clients 3.9.0):
//   java -cp 'lib/*' JavaKafkaFixtures.java make DIRECTORY
//   java -cp 'lib/*' JavaKafkaFixtures.java read FILE      (as written by write_sample_batches)
// The records are those of sample_records.py.
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.SimpleRecord;
import org.apache.kafka.common.record.TimestampType;

public class JavaKafkaFixtures {
  static final long BASE_TIMESTAMP_MS = 1700000000000L;

  static SimpleRecord sample(int i) {
    long timestamp = BASE_TIMESTAMP_MS + (i % 10 == 3 ? -1000 - i : i * 7L);
    byte[] key = i % 5 == 0 ? null : i % 5 == 1 ? new byte[0] : ("key-" + i).getBytes();
    byte[] value =
        i % 7 == 3 ? null : ("value-" + i + ";").repeat(i % 9).getBytes(StandardCharsets.UTF_8);
    Header[] headers = new Header[i % 4];
    for (int j = 0; j < headers.length; j++) {
      byte[] headerValue = j == 1 ? null : new byte[] {(byte) i, (byte) j, 0};
      headers[j] = new RecordHeader("header-" + j, headerValue);
    }
    return new SimpleRecord(timestamp, key, value, headers);
  }

  static MemoryRecords build(CompressionType type, int count) {
    MemoryRecordsBuilder builder =
        new MemoryRecordsBuilder(
            ByteBuffer.allocate(1 << 20),
            RecordBatch.CURRENT_MAGIC_VALUE,
            Compression.of(type).build(),
            TimestampType.CREATE_TIME,
            0L,
            0L,
            4711L,
            (short) 3,
            99,
            false,
            false,
            RecordBatch.NO_PARTITION_LEADER_EPOCH,
            1 << 20);
    for (int i = 0; i < count; i++) builder.append(sample(i));
    return builder.build();
  }

  static void write(String directory, String name, MemoryRecords records) throws Exception {
    ByteBuffer buffer = records.buffer().duplicate();
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    Files.write(new File(directory, "java_kafka_" + name + ".bin").toPath(), bytes);
    System.out.println(bytes.length + " " + name);
  }

  static void make(String directory) throws Exception {
    for (CompressionType type : CompressionType.values()) {
      for (int count : new int[] {50, 1500}) {
        if (type == CompressionType.NONE && count > 50) continue;
        write(directory, type.name + "_" + count, build(type, count));
      }
    }
    write(
        directory,
        "commit_marker",
        MemoryRecords.withEndTransactionMarker(
            7L,
            BASE_TIMESTAMP_MS,
            5,
            4711L,
            (short) 3,
            new EndTransactionMarker(ControlRecordType.COMMIT, 12)));
  }

  static void expect(String what, Object actual, Object expected) {
    if (!actual.equals(expected)) {
      throw new IllegalStateException(what + " is " + actual + ", expected " + expected);
    }
  }

  static void read(String file) throws Exception {
    MemoryRecords records =
        MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(new File(file).toPath())));
    int batches = 0;
    for (MutableRecordBatch batch : records.batches()) {
      batch.ensureValid();
      expect("compression", batch.compressionType(), CompressionType.values()[batches / 2]);
      expect("count", batch.countOrNull(), batches % 2 == 0 ? 50 : 5000);
      expect("base offset", batch.baseOffset(), 1000L);
      expect("producer", batch.producerId(), 77L);
      expect("epoch", batch.producerEpoch(), (short) 5);
      expect("sequence", batch.baseSequence(), 123);
      int i = 0;
      for (Record record : batch) {
        SimpleRecord expected = sample(i);
        expect("record " + i, new SimpleRecord(record), expected);
        expect("headers " + i, Arrays.asList(record.headers()), Arrays.asList(expected.headers()));
        expect("offset", record.offset(), 1000L + i);
        i++;
      }
      expect("records", i, batch.countOrNull());
      batches++;
    }
    expect("batches", batches, 10);
    System.out.println("kafka-clients read " + batches + " batches of ours");
  }

  public static void main(String[] arguments) throws Exception {
    if (arguments[0].equals("make")) make(arguments[1]);
    else read(arguments[1]);
  }
}
