-- AlterTable
ALTER TABLE "sequence_steps" ADD COLUMN "delay_hours" INTEGER NOT NULL DEFAULT 0;
