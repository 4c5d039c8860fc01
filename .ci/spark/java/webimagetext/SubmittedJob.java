package webimagetext;

import org.apache.beam.runners.jobsubmission.PortablePipelineJarUtils;
import org.apache.beam.runners.spark.SparkPipelineOptions;
import org.apache.beam.runners.spark.SparkPipelineRunner;
import org.apache.beam.sdk.util.construction.PipelineOptionsTranslation;

/** What spark-submit runs: the one job of the jar that it is in. */
public final class SubmittedJob {
  private SubmittedJob() {}

  public static void main(String[] arguments) throws Exception {
    String name = PortablePipelineJarUtils.getDefaultJobName();
    SparkPipelineOptions options =
        PipelineOptionsTranslation.fromProto(PortablePipelineJarUtils.getPipelineOptionsFromClasspath(name))
            .as(SparkPipelineOptions.class);
    Application application = new Application(options.getSparkMaster());
    application.start();
    try {
      application.prepare(options);
      SparkPipelineRunner.main(arguments);
    } finally {
      application.stop();
    }
  }
}
